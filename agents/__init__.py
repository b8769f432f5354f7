"""The light worker on each host: enrol, lease, run, spool, report. The agent itself computes nothing."""
