"""Who may do what: API keys, sign-ins, tokens of an OpenID Connect issuer.

Read `keys` first, then `sessions`, `oidc_tokens`, `oidc_sign_in`. It knows nothing of files,
backups or metrics, and no web framework.
"""
