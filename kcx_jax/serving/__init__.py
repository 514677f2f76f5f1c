"""`kcx serve`: the extractor behind HTTP, with a page to look at it.

Lives here: routes, their limits and errors, the process around them. Not here: what is asked about a text and what
comes of the answers (`extraction.reading`), who is answered when (`decoding.live`).
"""

from kcx_jax.serving.app import create_app
from kcx_jax.serving.server import listen, serve, url_of
from kcx_jax.serving.service import Service
from kcx_jax.serving.settings import Settings
from kcx_jax.serving.state import ServerState

__all__ = ["ServerState", "Service", "Settings", "create_app", "listen", "serve", "url_of"]
