// Requests to the server this page came from, and its errors in words.

/** What went wrong: a heading and what the server said, `status` of HTTP (0: no answer), `param` it is about. */
export class ServerError extends Error {
  constructor(heading, { message = "", status = 0, param = null } = {}) {
    super(message);
    Object.assign(this, { heading, status, param });
  }
}

const HEADINGS = {
  400: "The server cannot use this request",
  403: "The server does not allow this",
  404: "The server does not know this",
  408: "It took too long",
  413: "This is too much for the server",
  422: "The server cannot use this request",
  429: "The server is busy",
  503: "The server is not ready",
  504: "It took too long",
};

/**
 * The server's answer to `path`: a GET, or a POST of `body` as JSON. `key` is an API key or "". Throws `ServerError`,
 * and what `signal` is aborted with.
 */
export async function ask(path, { body, key = "", signal } = {}) {
  const headers = { Accept: "application/json" };
  if (key) headers.Authorization = `Bearer ${bytes(key)}`;
  if (body) headers["Content-Type"] = "application/json";
  let response, answer;
  try {
    const method = body ? "POST" : "GET";
    response = await fetch(path, { method, headers, body: body && JSON.stringify(body), signal, cache: "no-store" });
    answer = await response.text();
  } catch (error) {
    if (signal?.aborted) throw error;
    const message = `Nothing answers at ${location.origin}. Is kcx serve still running there?`;
    throw new ServerError("The server cannot be reached", { message });
  }
  const value = json(answer);
  if (!response.ok) throw refusal(response, value, key);
  if (value === undefined) {
    const message = "Its answer is not JSON. Is something else listening at this address?";
    throw new ServerError("The server cannot be understood", { message, status: response.status });
  }
  return value;
}

/** UTF-8, a character for each byte, as headers hold it. */
function bytes(text) {
  return String.fromCharCode(...new TextEncoder().encode(text));
}

function json(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function refusal(response, value, key) {
  const { status } = response;
  const said = value?.error?.message;
  const words = [said ? String(said) : `It answered with status ${status} and no explanation.`];
  if (status === 401) {
    const heading = key ? "The server refused this API key" : "The server asks for an API key";
    return new ServerError(heading, { message: "Type it below, then extract.", status });
  }
  const wait = seconds(response.headers.get("Retry-After"));
  if (wait !== null) words.push(`Try again in ${wait} s.`);
  const heading = HEADINGS[status] ?? (status >= 500 ? "The server failed" : "The server refused the request");
  return new ServerError(heading, { message: words.join(" "), status, param: value?.error?.param ?? null });
}

/** A Retry-After header (seconds, or a date) as whole seconds from now; null where there is none. */
function seconds(header) {
  if (!header) return null;
  const wait = /^\d+$/.test(header) ? Number(header) : (Date.parse(header) - Date.now()) / 1000;
  return Number.isFinite(wait) ? Math.max(0, Math.ceil(wait)) : null;
}
