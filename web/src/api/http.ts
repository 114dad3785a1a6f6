// The one place that talks to the server: builds query strings, checks answers, turns failures into ApiError.

import type { Failed } from './types';

export type Params = Record<string, string | number | null | undefined>;

/** What went wrong, in the server's own words; `position` and `length` point into the filter line. */
export class ApiError extends Error {
  constructor(
    message: string,
    readonly code: string,
    readonly request: string,
    readonly filter: string,
    readonly position: number | null = null,
    readonly length: number | null = null,
    readonly suggestion: string | null = null,
  ) {
    super(message);
  }

  /** The server could not be reached, as opposed to having answered with an error. */
  get offline(): boolean {
    return this.code === 'offline';
  }
}

function queryString(params: Params): string {
  const search = new URLSearchParams();
  for (const [key, value] of Object.entries(params)) {
    if (value !== null && value !== undefined) search.set(key, String(value));
  }
  const text = search.toString();
  return text ? `?${text}` : '';
}

async function failure(response: Response, request: string, filter: string): Promise<ApiError> {
  const body = (await response.json().catch(() => ({}))) as Partial<Failed>;
  const error = body.error;
  // A proxy in front of a stopped server answers 502 to 504 itself, without the server's error object.
  if (!error && response.status >= 502) return new ApiError('The server does not answer.', 'offline', request, filter);
  const message = error?.message ?? `The server answered ${response.status} ${response.statusText}.`;
  return new ApiError(message, error?.code ?? 'internal', request, filter, error?.position, error?.length, error?.suggestion);
}

export async function get<T>(path: string, params: Params = {}, signal?: AbortSignal): Promise<T> {
  const url = path + queryString(params);
  const filter = String(params['filter'] ?? '');
  let response: Response;
  try {
    response = await fetch(url, { headers: { accept: 'application/json' }, ...(signal && { signal }) });
  } catch (cause) {
    if (signal?.aborted) throw cause;
    throw new ApiError('The server does not answer.', 'offline', url, filter);
  }
  if (!response.ok) throw await failure(response, url, filter);
  return (await response.json()) as T;
}
