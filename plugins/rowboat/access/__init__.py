"""Who is asking, and what they may do: API keys, sessions, OpenID Connect.

Read `keys` first, then `sessions`, `oidc_tokens`, `oidc_sign_in`. It knows nothing of files,
backups or metrics, and no web framework.
"""
