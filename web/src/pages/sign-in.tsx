import { type FormEvent, useState } from 'react'
import { Problem, told } from '../../core/client.ts'
import { cache, client } from '../api.ts'
import { Failed, Field, useTitle } from '../components/bits.tsx'
import { can, signInWithPasskey } from '../passkey.ts'
import { go, useLocation } from '../router.tsx'

// codeNeeded is the type of the problem that a code is asked for with.
const codeNeeded = 'urn:redflag:code-needed'

// SignIn is by name and password, or at the push of a button with a link that signs in once.
export function SignIn() {
  useTitle('Sign in')
  const { path, params } = useLocation()
  const [link, setLink] = useState(params.get('link') ?? '')
  const [error, setError] = useState<unknown>()
  const [busy, setBusy] = useState(false)
  const [code, setCode] = useState(false) // whether one is asked for
  async function submit(e: FormEvent<HTMLFormElement>) {
    e.preventDefault()
    const form = new FormData(e.currentTarget)
    const text = (name: string) => String(form.get(name) ?? '')
    await enter(() => told(client.POST('/session', { body: link ? { link } : { name: text('name'), password: text('password'), ...(code ? { code: text('code') } : {}) } })))
  }
  async function enter(work: () => Promise<unknown>) {
    setBusy(true)
    setError(undefined)
    try {
      await work()
      if (path === '/sign-in') go('/', true)
      await cache.invalidateQueries()
    } catch (err) {
      if (err instanceof Problem && err.type === codeNeeded) setCode(true)
      else setError(err)
      setLink('') // it was used, or it is wrong
    } finally {
      setBusy(false)
    }
  }
  return (
    <main className="narrow">
      <h1>Sign in to RedFlag</h1>
      {error !== undefined && <Failed error={error} />}
      <form onSubmit={(e) => void submit(e)}>
        {link ? (
          <p>This link signs you in once, in this browser.</p>
        ) : (
          <>
            <Field label="Name">{(id) => <input id={id} name="name" autoComplete="username" autoCapitalize="none" required maxLength={64} />}</Field>
            <Field label="Password">{(id) => <input id={id} name="password" type="password" autoComplete="current-password" required maxLength={1024} />}</Field>
            {code && (
              <Field label="Code" hint="The six digits that your authenticator shows now">
                {(id) => <input id={id} name="code" inputMode="numeric" autoComplete="one-time-code" pattern="[0-9]{6}" minLength={6} maxLength={6} required autoFocus />}
              </Field>
            )}
          </>
        )}
        <button className="main" disabled={busy}>
          Sign in
        </button>
      </form>
      {!link && can() && (
        <button disabled={busy} onClick={() => void enter(signInWithPasskey)}>
          Sign in with a passkey
        </button>
      )}
      {!link && (
        <p className="quiet">
          A link that signs you in is made on the server: <code>redflag user link NAME</code>
        </p>
      )}
    </main>
  )
}
