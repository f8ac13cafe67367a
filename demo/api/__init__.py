"""The demo for programs: HTTP endpoints and MCP tools. It may import `server`, `config` and the components of `ui`."""
