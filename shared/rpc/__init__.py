"""What every gRPC server and client of Tagsmith shares: errors on the wire, server construction, health, draining."""
