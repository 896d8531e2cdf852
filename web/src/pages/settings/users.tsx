import type { FormEvent } from 'react'
import { told } from '../../../core/client.ts'
import { count, plain } from '../../../core/format.ts'
import { ask, client } from '../../api.ts'
import { Copy, Failed, Field } from '../../components/bits.tsx'
import { Table, useDo } from './parts.tsx'

export function Users() {
  const add = useDo('users', (body: { name: string; role: 'viewer' | 'operator' | 'admin' }) => told(client.POST('/users', { body })))
  const remove = useDo('users', (user: number) => told(client.DELETE('/users/{user}', { params: { path: { user } } })))
  const role = useDo('users', ({ id, role }: { id: number; role: string }) => told(client.PATCH('/users/{user}', { params: { path: { user: id } }, body: { role: role as 'viewer' } })))
  function submit(e: FormEvent<HTMLFormElement>) {
    e.preventDefault()
    const form = new FormData(e.currentTarget)
    add.mutate({ name: String(form.get('name')), role: String(form.get('role')) as 'viewer' })
    e.currentTarget.reset()
  }
  const noCode = useDo('users', (id: number) => told(client.PATCH('/users/{user}', { params: { path: { user: id } }, body: { no_totp: true } })))
  const failed = [add, remove, role, noCode].find((m) => m.isError)
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
            <td>
              {[u.has_password && (u.has_totp ? 'password and code' : 'password'), u.passkeys > 0 && count(u.passkeys, 'passkey')].filter(Boolean).join(', ') || 'link'}{' '}
              {u.has_totp && <button onClick={() => confirm(`Let ${plain(u.name)} sign in without a code?`) && noCode.mutate(u.id)}>No code any more</button>}
            </td>
            <td className="number">
              <button onClick={() => confirm(`Remove ${plain(u.name)}, and sign him out everywhere?`) && remove.mutate(u.id)}>Remove</button>
            </td>
          </tr>
        )}
      />
    </>
  )
}
