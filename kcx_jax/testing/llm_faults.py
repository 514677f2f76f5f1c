"""The faults of transport and body that the scripted server can make, by name, each with what it does.

They pass: asked again, the same content is answered. The faults of what is said are in `llm_script`.
"""

# Nothing was generated, and nothing is billed.
UNBILLED = {
    "rate_limit": "429 with retry-after-ms",
    "retry_after_seconds": "429 with Retry-After in whole seconds",
    "retry_after_date": "429 with Retry-After as an HTTP date one second ahead",
    "retry_after_absurd": "429 with Retry-After: 1000000000",
    "retry_after_negative": "429 with Retry-After: -1",
    "retry_after_missing": "429 with no word on when",
    "quota": "429 with code insufficient_quota",
    "server_error": "500",
    "bad_gateway": "502 with a page of HTML",
    "unavailable": "503",
    "overloaded": "529",
    "html": "200 with a page of HTML, as from a proxy",
    "error_body": '200 with {"error": ...}',
    "hang": "no response until the server's `hang` seconds are over, then the connection ends",
    "drop": "the connection is closed without a response",
    "reset": "the connection is reset (RST) without a response",
}
# The answer was generated, billed and, where asked, stored; it is lost or late on its way.
LOST = {
    "reset_billed": "the connection is reset (RST) in place of the response",
    "gateway_timeout": "504 with a page of HTML in place of the response",
    "partial_body": "half of the body, then the connection is closed",
    "wrong_length": "content-length is half of what follows",
    "gzip_garbage": "content-encoding says gzip; the bytes are none",
    "drip": "the response comes a byte each `drip` seconds",
}
TRANSPORT = UNBILLED | LOST
# A whole response with status 200, billed, whose body is not as it should be.
BODY = {
    "broken_body": "half of the JSON, with a content-length that fits",
    "empty_choices": "choices is []",
    "null_choices": "choices is null",
    "missing_choices": "no choices",
    "no_content": "content is null",
    "missing_usage": "no usage",
    "absurd_usage": "usage of minus five prompt tokens and 10**18 completion tokens",
    "wrong_model": "model names another model",
    "huge_body": "ten million characters of content",
    "content_filter": "content is empty, finish_reason content_filter",
    "refusal": "content is null, refusal says no",
    "duplicate_keys": "choices twice in one object, first []",
    "lone_surrogate": "content ends in an escaped half of a surrogate pair",
    "nul": "content ends in U+0000",
    "bom": "the body begins with a byte order mark",
}
