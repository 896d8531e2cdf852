import { useMutation } from '@tanstack/react-query'
import { type FormEvent, useState } from 'react'
import { told } from '../../../core/client.ts'
import { plain } from '../../../core/format.ts'
import type { Caller } from '../../../core/types.ts'
import { ask, cache, client } from '../../api.ts'
import { Failed, Field, Time } from '../../components/bits.tsx'
import { theme, type Theme, setTheme } from '../../theme.ts'
import { Factors } from './factors.tsx'
import { Table, useDo } from './parts.tsx'

export function You({ me }: { me: Caller }) {
  const [mine, setMine] = useState<Theme>(theme())
  const [changed, setChanged] = useState(false)
  const password = useMutation({
    mutationFn: (body: { old?: string; new: string }) => told(client.PUT('/me/password', { body })),
    onSuccess: () => {
      setChanged(true)
      void cache.invalidateQueries({ queryKey: ['me'] })
    },
  })
  const end = useDo('logins', (login: number) => told(client.DELETE('/me/logins/{login}', { params: { path: { login } } })))
  function submit(e: FormEvent<HTMLFormElement>) {
    e.preventDefault()
    const form = new FormData(e.currentTarget)
    const old = form.get('old')
    password.mutate({ ...(old ? { old: String(old) } : {}), new: String(form.get('new')) })
    e.currentTarget.reset()
  }
  return (
    <>
      <h2>{plain(me.name)}</h2>
      <p className="quiet">Role: {me.role}</p>
      <h2>Appearance</h2>
      <div className="choice" role="group" aria-label="Appearance">
        {(['system', 'light', 'dark'] as Theme[]).map((t) => (
          <button
            key={t}
            aria-pressed={t === mine}
            onClick={() => {
              setTheme(t)
              setMine(t)
            }}
          >
            {t}
          </button>
        ))}
      </div>
      <h2>Password</h2>
      <form onSubmit={submit} className="narrow">
        {me.has_password && (
          <Field label="Until now">{(id) => <input id={id} name="old" type="password" autoComplete="current-password" maxLength={1024} required />}</Field>
        )}
        <Field label="New" hint="At least 8 characters">
          {(id) => <input id={id} name="new" type="password" autoComplete="new-password" minLength={8} maxLength={1024} required />}
        </Field>
        <button className="main" disabled={password.isPending}>
          Change the password
        </button>
        {changed && <p role="status">The password is changed.</p>}
        {password.isError && <Failed error={password.error} />}
      </form>
      <Factors me={me} />
      <h2>Where you are signed in</h2>
      {end.isError && <Failed error={end.error} />}
      <Table
        asked={ask.logins()}
        head={['Browser', 'Address', 'Seen']}
        empty="Nowhere."
        row={(l) => (
          <tr key={l.id}>
            <td>{plain(l.browser)}</td>
            <td>{plain(l.address)}</td>
            <td>
              <Time at={l.seen_at} />
            </td>
            <td className="number">
              <button onClick={() => end.mutate(l.id)}>Sign out</button>
            </td>
          </tr>
        )}
      />
    </>
  )
}
