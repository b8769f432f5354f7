"""Client of the operators' API: one table of calls, two transports (`http.Client`, `http.AsyncClient`)."""
