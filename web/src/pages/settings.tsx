import { useMutation, useQuery } from '@tanstack/react-query'
import { type FormEvent, type ReactNode, useState } from 'react'
import { told } from '../../core/client.ts'
import { plain } from '../../core/format.ts'
import type { Caller } from '../../core/types.ts'
import { ask, cache, client } from '../api.ts'
import { Choice, Copy, Empty, Failed, Field, Loading, Time, Title, useTitle } from '../components/bits.tsx'
import { useParam } from '../router.tsx'
import { theme, type Theme, setTheme } from '../theme.ts'
import { may } from '../who.ts'

export function Settings({ me }: { me: Caller }) {
  useTitle('Settings')
  const [tab] = useParam('tab')
  const choices: [string, string][] = [['', 'You']]
  if (may(me, 'administer')) choices.push(['users', 'Users'], ['keys', 'API keys'], ['tokens', 'Tokens'])
  return (
    <>
      <Title>Settings</Title>
      <Choice name="tab" label="Settings" choices={choices} />
      {tab === '' && <You me={me} />}
      {tab === 'users' && <Users />}
      {tab === 'keys' && <Keys />}
      {tab === 'tokens' && <Tokens />}
    </>
  )
}

// useDo is something that a person does, after which a kind of answer may be another.
function useDo<T, R>(key: string, work: (what: T) => Promise<R>) {
  return useMutation({ mutationFn: work, onSettled: () => cache.invalidateQueries({ queryKey: [key] }) })
}

type Asked<T> = { queryKey: unknown[]; queryFn: () => Promise<{ items: T[] }> }

// Table is a short list with its states.
function Table<T>({ asked, head, row, empty }: { asked: Asked<T>; head: string[]; row: (item: T) => ReactNode; empty: string }) {
  const { data, error, refetch } = useQuery(asked)
  if (error && !data) return <Failed error={error} again={() => void refetch()} />
  if (!data) return <Loading />
  if (data.items.length === 0) return <Empty>{empty}</Empty>
  return (
    <div className="scroll" tabIndex={0} role="region" aria-label={head[0]}>
      <table>
        <thead>
          <tr>
            {head.map((h) => (
              <th key={h}>{h}</th>
            ))}
            <th>
              <span className="hidden">Actions</span>
            </th>
          </tr>
        </thead>
        <tbody>{data.items.map(row)}</tbody>
      </table>
    </div>
  )
}

function You({ me }: { me: Caller }) {
  const [mine, setMine] = useState<Theme>(theme())
  const [changed, setChanged] = useState(false)
  const password = useMutation({
    mutationFn: (body: { old?: string; new: string }) => told(client.PUT('/me/password', { body })),
    onSuccess: () => setChanged(true),
  })
  const end = useDo('logins', (login: number) => told(client.DELETE('/me/logins/{login}', { params: { path: { login } } })))
  function submit(e: FormEvent<HTMLFormElement>) {
    e.preventDefault()
    const form = new FormData(e.currentTarget)
    const old = String(form.get('old'))
    password.mutate({ ...(old ? { old } : {}), new: String(form.get('new')) })
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
        <Field label="Until now" hint="Empty if you have none yet">
          {(id) => <input id={id} name="old" type="password" autoComplete="current-password" maxLength={1024} />}
        </Field>
        <Field label="New" hint="At least 8 characters">
          {(id) => <input id={id} name="new" type="password" autoComplete="new-password" minLength={8} maxLength={1024} required />}
        </Field>
        <button className="main" disabled={password.isPending}>
          Change the password
        </button>
        {changed && <p role="status">The password is changed.</p>}
        {password.isError && <Failed error={password.error} />}
      </form>
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

function Users() {
  const add = useDo('users', (body: { name: string; role: 'viewer' | 'operator' | 'admin' }) => told(client.POST('/users', { body })))
  const remove = useDo('users', (user: number) => told(client.DELETE('/users/{user}', { params: { path: { user } } })))
  const role = useDo('users', ({ id, role }: { id: number; role: string }) => told(client.PATCH('/users/{user}', { params: { path: { user: id } }, body: { role: role as 'viewer' } })))
  function submit(e: FormEvent<HTMLFormElement>) {
    e.preventDefault()
    const form = new FormData(e.currentTarget)
    add.mutate({ name: String(form.get('name')), role: String(form.get('role')) as 'viewer' })
    e.currentTarget.reset()
  }
  const failed = [add, remove, role].find((m) => m.isError)
  return (
    <>
      <form onSubmit={submit} className="inline">
        <Field label="Name">{(id) => <input id={id} name="name" required maxLength={64} />}</Field>
        <Field label="Role">
          {(id) => (
            <select id={id} name="role">
              <option>viewer</option>
              <option>operator</option>
              <option>admin</option>
            </select>
          )}
        </Field>
        <button className="main">Add a user</button>
      </form>
      {failed && <Failed error={failed.error} />}
      {add.data?.link && (
        <>
          <p>This link signs {plain(add.data.name)} in once, within a day. It is shown this once:</p>
          <Copy text={`${location.origin}/sign-in?link=${encodeURIComponent(add.data.link)}`} label="the link" />
        </>
      )}
      <Table
        asked={ask.users()}
        head={['User', 'Role', 'Signs in']}
        empty="Nobody."
        row={(u) => (
          <tr key={u.id}>
            <td>{plain(u.name)}</td>
            <td>
              <select aria-label={`Role of ${plain(u.name)}`} value={u.role} onChange={(e) => role.mutate({ id: u.id, role: e.target.value })}>
                <option>viewer</option>
                <option>operator</option>
                <option>admin</option>
              </select>
            </td>
            <td>{u.has_password ? 'by password' : 'by link'}</td>
            <td className="number">
              <button onClick={() => confirm(`Remove ${plain(u.name)}, and sign him out everywhere?`) && remove.mutate(u.id)}>Remove</button>
            </td>
          </tr>
        )}
      />
    </>
  )
}

function Keys() {
  const add = useDo('apikeys', (body: { name: string; scope: 'read' | 'write' | 'admin' }) => told(client.POST('/apikeys', { body })))
  const remove = useDo('apikeys', (key: number) => told(client.DELETE('/apikeys/{key}', { params: { path: { key } } })))
  function submit(e: FormEvent<HTMLFormElement>) {
    e.preventDefault()
    const form = new FormData(e.currentTarget)
    add.mutate({ name: String(form.get('name')), scope: String(form.get('scope')) as 'read' })
    e.currentTarget.reset()
  }
  const failed = [add, remove].find((m) => m.isError)
  return (
    <>
      <form onSubmit={submit} className="inline">
        <Field label="What it is for">{(id) => <input id={id} name="name" required maxLength={64} />}</Field>
        <Field label="Scope">
          {(id) => (
            <select id={id} name="scope">
              <option>read</option>
              <option>write</option>
              <option>admin</option>
            </select>
          )}
        </Field>
        <button className="main">Make a key</button>
      </form>
      {failed && <Failed error={failed.error} />}
      {add.data && (
        <>
          <p>It is shown this once:</p>
          <Copy text={add.data.secret} label="the key" />
        </>
      )}
      <Table
        asked={ask.keys()}
        head={['Key', 'Scope', 'Made by', 'Used']}
        empty="No keys. Programs ask the API with one."
        row={(k) => (
          <tr key={k.id}>
            <td>{plain(k.name)}</td>
            <td>{k.scope}</td>
            <td>{plain(k.created_by)}</td>
            <td>
              <Time at={k.used_at} />
            </td>
            <td className="number">
              <button onClick={() => remove.mutate(k.id)}>Take out of use</button>
            </td>
          </tr>
        )}
      />
    </>
  )
}

function Tokens() {
  const remove = useDo('tokens', (token: number) => told(client.DELETE('/tokens/{token}', { params: { path: { token } } })))
  return (
    <>
      {remove.isError && <Failed error={remove.error} />}
      <Table
        asked={ask.tokens()}
        head={['Made by', 'Seats left', 'Labels', 'Until']}
        empty="No tokens. Hosts join with one."
        row={(t) => (
          <tr key={t.id}>
            <td>
              {plain(t.created_by)} <Time at={t.created_at} />
            </td>
            <td>{t.seats < 0 ? 'any' : t.seats}</td>
            <td>{plain(Object.entries(t.labels).map(([k, v]) => `${k}=${v}`).join(', '))}</td>
            <td>{new Date(t.expires_at).toLocaleString()}</td>
            <td className="number">
              <button onClick={() => remove.mutate(t.id)}>Take out of use</button>
            </td>
          </tr>
        )}
      />
    </>
  )
}
