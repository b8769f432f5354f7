"""Routes of the operators' API, one module per room. Each `add_routes` closes over the controller's parts."""
