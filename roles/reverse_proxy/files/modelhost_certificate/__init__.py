"""Keep the certificate that nginx serves: the owner's, one of this host's own authority, or an issuer's.

nginx reads the files at each full handshake, through a link that is turned by one rename: no reload, no request is
lost. systemd runs `renew` by a timer, a deployment runs it too; which certificate is wanted is in the settings that a
deployment leaves. Exit code 1: there is no new one, and why is said; what was served before goes on being served.
"""
