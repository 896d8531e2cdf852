import type { FormEvent } from 'react'
import { told } from '../../../core/client.ts'
import { plain } from '../../../core/format.ts'
import { ask, client } from '../../api.ts'
import { Copy, Failed, Field, Time } from '../../components/bits.tsx'
import { Table, useDo } from './parts.tsx'

export function Keys() {
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
