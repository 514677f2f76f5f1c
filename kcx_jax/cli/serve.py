"""``kcx serve``: the extractor behind HTTP."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from kcx_jax.cli.constraint import Constraint, ConstraintOption
from kcx_jax.cli.endpoint import key_from
from kcx_jax.errors import UsageError

if TYPE_CHECKING:
    from kcx_jax.schema import Schema

Model = Annotated[str, typer.Option(metavar="DIR|ORG/NAME", help="A checkpoint folder or Hub id.")]
Adapter = Annotated[
    list[str] | None, typer.Option(metavar="DIR", help="A LoRA adapter; several make a chain.")
]
Schemas = Annotated[
    list[str] | None,
    typer.Option("--schema", metavar="NAME=FILE", help="A schema that requests may name; may be repeated."),
]
Slots = Annotated[int, typer.Option(min=1, help="Answers written at once.")]
Queue = Annotated[int, typer.Option(min=1, help="Requests that wait or are answered; more get 429.")]
Timeout = Annotated[float, typer.Option(min=0.1, help="Seconds for a request.")]
Drain = Annotated[float, typer.Option(min=0.0, help="Seconds for what is under way after SIGTERM.")]
MaxBody = Annotated[int, typer.Option(min=1, metavar="BYTES", help="The largest body that is read.")]
KeyVariable = Annotated[
    str | None, typer.Option(metavar="VAR", help="Variable with a key that requests have to show.")
]
CorsOrigin = Annotated[
    list[str] | None, typer.Option(metavar="URL", help="Pages from there may ask; may be repeated.")
]
MaxNewTokens = Annotated[int, typer.Option(min=1, help="Where answers are cut off.")]
Dtype = Annotated[str | None, typer.Option(help="float32 or bfloat16; default: the checkpoint's.")]


def command(
    model: Model,
    adapter: Adapter = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any free one.")] = 8000,
    host: Annotated[str, typer.Option(help="0.0.0.0 for all networks.")] = "127.0.0.1",
    schema: Schemas = None,
    slots: Slots = 64,
    queue: Queue = 256,
    timeout: Timeout = 120.0,
    drain: Drain = 30.0,
    max_body: MaxBody = 4 << 20,
    api_key_env: KeyVariable = None,
    cors_origin: CorsOrigin = None,
    max_new_tokens: MaxNewTokens = 256,
    constraint: ConstraintOption = None,
    dtype: Dtype = None,
) -> None:
    """Serve a model over HTTP: extraction, OpenAI-compatible completions, and a page at /.

    The address of the page is printed; the log goes to stderr as JSON Lines. /ready says when the model is loaded.

    Example: kcx serve --model my-model --adapter my-adapter --schema news=configs/ner_news.py --port 8000
    """
    from kcx_jax.serving import Settings, listen, serve, url_of
    from kcx_jax.serving.load import load_service
    from kcx_jax.serving.logs import log_to_stderr

    settings = Settings(
        model=model,
        queue=queue,
        timeout=timeout,
        drain=drain,
        max_body=max_body,
        max_new_tokens=max_new_tokens,
        constraint=cast(Any, (constraint or Constraint.SPAN).value),
        schemas=_named(schema or []),
        api_key=key_from(api_key_env),
        cors_origins=tuple(cors_origin or ()),
    )
    # What is wrong with the call shows before a model is loaded.
    with listen(host, port) as listening:
        print(url_of(listening), flush=True)
        print("The model is being loaded; Ctrl-C ends the server.", file=sys.stderr)
        log_to_stderr()
        serve(settings, listening, lambda: load_service(settings, adapter, dtype, slots))


def _named(pairs: list[str]) -> "dict[str, Schema]":
    """The schemas of NAME=FILE."""
    from kcx_jax.schema import load_schema

    named: dict[str, Schema] = {}
    for pair in pairs:
        name, _, path = pair.partition("=")
        if not name or not path:
            raise UsageError(f"--schema {pair!r}: write NAME=FILE, such as news=configs/ner_news.py")
        if name in named:
            raise UsageError(f"--schema: the name {name!r} is given twice")
        named[name] = load_schema(Path(path), auto=True)
    return named
