"""The real cloud: the only package that knows client libraries, and what they raise."""

from upgrade_flows.cloud.clients.real import RealCloud, connect

__all__ = ["RealCloud", "connect"]
