"""The SSH room: connections, host keys, facts, provisioning, tunnels, transfers, services, deployment."""
