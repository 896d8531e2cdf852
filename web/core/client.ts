// The API as functions. Nothing here knows of a browser, so another program can use it with a fetch of its own.
import createClient from 'openapi-fetch'
import type { paths } from './schema.ts'

// Problem is an error that the server has explained (RFC 9457), or that the network has made.
export class Problem extends Error {
  readonly status: number // 0: no answer came
  readonly type: string

  constructor(status: number, detail: string, type = '') {
    super(detail)
    this.status = status
    this.type = type
  }
}

type Options = { base?: string; fetch?: (request: Request) => Promise<Response> }

export function newClient({ base = '', fetch }: Options = {}) {
  return createClient<paths>({ baseUrl: `${base}/api/v1`, ...(fetch ? { fetch } : {}) })
}

export type Client = ReturnType<typeof newClient>

type Answer<T> = { data?: T; error?: unknown; response: Response }

// told gives what was asked for, or throws a Problem. A list may be asked for as CSV too, which is a text; here it never is.
export async function told<T>(asked: Promise<Answer<T>>): Promise<Exclude<NonNullable<T>, string>> {
  let got: Answer<T>
  try {
    got = await asked
  } catch {
    throw new Problem(0, 'The server does not answer.')
  }
  if (got.error !== undefined || !got.response.ok) {
    const { detail, errors, type } = (got.error ?? {}) as { detail?: string; errors?: { message?: string }[] | null; type?: string }
    const what = [detail, ...(errors ?? []).map((e) => e.message)].filter(Boolean).join(': ')
    throw new Problem(got.response.status, what || `The server answered ${got.response.status}.`, type)
  }
  return (got.data ?? {}) as Exclude<NonNullable<T>, string>
}
