import { type FormEvent, useState } from 'react'
import { told } from '../../../core/client.ts'
import { count, plain } from '../../../core/format.ts'
import type { Caller, Group } from '../../../core/types.ts'
import { ask, client } from '../../api.ts'
import { Install } from '../../components/act.tsx'
import { Failed, Field } from '../../components/bits.tsx'
import { Link, to } from '../../router.tsx'
import { may } from '../../who.ts'
import { Table, useDo } from './parts.tsx'

// Groups are saved label queries, and beside them the labels that there are.
export function Groups({ me }: { me: Caller }) {
  const add = useDo('groups', (body: { name: string; query: string }) => told(client.POST('/groups', { body })))
  const remove = useDo('groups', (group: number) => told(client.DELETE('/groups/{group}', { params: { path: { group } } })))
  function submit(e: FormEvent<HTMLFormElement>) {
    e.preventDefault()
    const form = new FormData(e.currentTarget)
    add.mutate({ name: String(form.get('name')), query: String(form.get('query')) })
    e.currentTarget.reset()
  }
  const failed = [add, remove].find((m) => m.isError)
  const changes = may(me, 'operate')
  const [install, setInstall] = useState<Group>()
  return (
    <>
      {changes && (
        <form onSubmit={submit} className="inline">
          <Field label="Name">{(id) => <input id={id} name="name" required maxLength={64} />}</Field>
          <Field label="Label query">{(id) => <input id={id} name="query" required maxLength={4000} placeholder="env=prod,role!=db" />}</Field>
          <button className="main">Save a group</button>
        </form>
      )}
      {failed && <Failed error={failed.error} />}
      <Table
        asked={ask.groups()}
        head={['Group', 'Label query']}
        empty="No groups. One is a label query with a name, to choose hosts by."
        row={(g) => (
          <tr key={g.id}>
            <td>
              <Link href={to('/hosts', { label: g.query })}>{plain(g.name)}</Link>
            </td>
            <td>{plain(g.query)}</td>
            <td className="number">{changes && (
                <>
                  <button onClick={() => setInstall(g)}>Install updates…</button> <button onClick={() => remove.mutate(g.id)}>Remove</button>
                </>
              )}</td>
          </tr>
        )}
      />
      {install && <Install on={{ group: install }} close={() => setInstall(undefined)} />}
      <h2>Labels of hosts</h2>
      <Table
        asked={ask.labels()}
        head={['Label', 'Hosts']}
        empty="No host has a label. They get some from their token, or on their own page."
        row={(l) => (
          <tr key={`${l.name}=${l.value}`}>
            <td>
              <Link href={to('/hosts', { label: l.value ? `${l.name}=${l.value}` : l.name })}>{plain(l.value ? `${l.name}=${l.value}` : l.name)}</Link>
            </td>
            <td>{count(l.hosts, 'host')}</td>
            <td />
          </tr>
        )}
      />
    </>
  )
}
