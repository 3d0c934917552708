from collectors.dnsbl.collector import Dnsbl

__all__ = ["Dnsbl"]
