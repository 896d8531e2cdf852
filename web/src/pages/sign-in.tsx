import { type FormEvent, useState } from 'react'
import { told } from '../../core/client.ts'
import { cache, client } from '../api.ts'
import { Failed, Field, useTitle } from '../components/bits.tsx'
import { go, useLocation } from '../router.tsx'

// SignIn is by name and password, or at the push of a button with a link that signs in once.
export function SignIn() {
  useTitle('Sign in')
  const { path, params } = useLocation()
  const [link, setLink] = useState(params.get('link') ?? '')
  const [error, setError] = useState<unknown>()
  const [busy, setBusy] = useState(false)
  async function submit(e: FormEvent<HTMLFormElement>) {
    e.preventDefault()
    const form = new FormData(e.currentTarget)
    setBusy(true)
    try {
      await told(client.POST('/session', { body: link ? { link } : { name: String(form.get('name')), password: String(form.get('password')) } }))
      if (path === '/sign-in') go('/', true)
      await cache.invalidateQueries()
    } catch (err) {
      setError(err)
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
          </>
        )}
        <button className="main" disabled={busy}>
          Sign in
        </button>
      </form>
      {!link && (
        <p className="quiet">
          A link that signs you in is made on the server: <code>redflag user link NAME</code>
        </p>
      )}
    </main>
  )
}
