"""What `import ssl` finds: smolmp.net.ssl, which is loaded when something of it is asked for."""


class Ssl:
    def __getattr__(self, name):
        from smolmp.net import ssl

        return getattr(ssl, name)
