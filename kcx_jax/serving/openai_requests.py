"""Bodies of the OpenAI-compatible routes.

Every parameter of theirs that would change an answer and is not supported may have its neutral value alone; those that
change nothing are taken and not looked at. Anything else is refused by name.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

_STOPS = Annotated[list[Annotated[str, Field(min_length=1)]], Field(max_length=16)]
_Off = Literal[False] | None
_Zero = Annotated[float, Field(ge=0, le=0)] | None
_One = Annotated[int, Field(ge=1, le=1)] | None
_Ignored = Field(None, description="Changes nothing here, and is not looked at.")


class StreamOptions(BaseModel):
    """How a stream is sent; `include_usage` adds the counts of tokens as a last chunk."""

    model_config = ConfigDict(strict=True, extra="forbid")

    include_usage: bool | None = None
    include_obfuscation: _Off = None


class OpenAIRequest(BaseModel):
    """What both routes take."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)

    model: str = Field(description="The name of the model in /v1/models.")
    max_tokens: int | None = Field(
        None, ge=1, description="At most so many new tokens; bounded by the server."
    )
    temperature: float | None = Field(
        None, ge=0, le=2, description="0 takes the likeliest token. Default: 1."
    )
    top_p: float | None = Field(
        None, gt=0, le=1, description="Draw among the likeliest tokens that reach it."
    )
    seed: int | None = Field(None, ge=-(1 << 31), le=(1 << 32) - 1, description="The same draws again.")
    stop: Annotated[str, Field(min_length=1)] | _STOPS | None = Field(
        None, description="Texts that end the answer, which is without them."
    )
    stream: bool | None = Field(
        None, description="Send the answer as server-sent events while it is written."
    )
    stream_options: StreamOptions | None = None
    n: _One = Field(None, description="One answer.")
    frequency_penalty: _Zero = None
    presence_penalty: _Zero = None
    logit_bias: Annotated[dict[str, float], Field(max_length=0)] | None = None
    user: Any = _Ignored
    metadata: Any = _Ignored
    store: Any = _Ignored
    service_tier: Any = _Ignored
    safety_identifier: Any = _Ignored
    prompt_cache_key: Any = _Ignored
    prompt_cache_retention: Any = _Ignored

    @property
    def stops(self) -> tuple[str, ...]:
        """The texts that end an answer."""
        return (self.stop,) if isinstance(self.stop, str) else tuple(self.stop or ())


class CompletionRequest(OpenAIRequest):
    """A text to go on with."""

    prompt: Annotated[str, Field(min_length=1)] = Field(examples=["Ada Lovelace was"])
    logprobs: Annotated[int, Field(ge=0, le=0)] | None = Field(
        None, description="0: the log-probability of each token of the answer."
    )
    best_of: _One = None
    echo: _Off = None
    suffix: None = None


class TextPart(BaseModel):
    """A part of a message."""

    model_config = ConfigDict(strict=True, extra="forbid")

    type: Literal["text"]
    text: str


class ChatMessage(BaseModel):
    """A turn. Markers of roles that are typed in it stay text."""

    model_config = ConfigDict(strict=True, extra="forbid")

    role: Literal["system", "developer", "user", "assistant"] = Field(
        description="developer is another word for system."
    )
    content: str | Annotated[list[TextPart], Field(min_length=1)]
    name: None = None
    refusal: None = None

    @property
    def plain(self) -> dict[str, str]:
        """Role and text alone; parts are joined by line breaks."""
        texts = [self.content] if isinstance(self.content, str) else [part.text for part in self.content]
        return {"role": "system" if self.role == "developer" else self.role, "content": "\n".join(texts)}


class TextFormat(BaseModel):
    """Answers are text."""

    model_config = ConfigDict(strict=True, extra="forbid")

    type: Literal["text"]


class ChatRequest(OpenAIRequest):
    """A conversation to answer."""

    messages: Annotated[list[ChatMessage], Field(min_length=1)]
    max_completion_tokens: int | None = Field(None, ge=1, description="The newer name of max_tokens.")
    logprobs: bool | None = Field(None, description="The log-probability of each token of the answer.")
    top_logprobs: Annotated[int, Field(ge=0, le=0)] | None = None
    response_format: TextFormat | None = None
    modalities: Annotated[list[Literal["text"]], Field(max_length=1)] | None = None
    tools: Annotated[list[Any], Field(max_length=0)] | None = None
    tool_choice: Literal["none", "auto"] | None = None
    parallel_tool_calls: Any = _Ignored
