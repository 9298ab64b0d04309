"""What goes wrong and is said in words."""


class CertificateError(Exception):
    """Why there is no new certificate, in words."""
