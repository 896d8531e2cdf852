// The one job that mends a vulnerability.
import { useMutation, useQuery } from '@tanstack/react-query'
import type { FormEvent } from 'react'
import { told } from '../../core/client.ts'
import { count, plain } from '../../core/format.ts'
import type { After, WholeVulnerability } from '../../core/types.ts'
import { ask, client } from '../api.ts'
import { afterOf, Afters, changed, hoursOf, Patience, type Target, Whom } from '../components/act.tsx'
import { Failed, Field } from '../components/bits.tsx'
import { Answers, Dialog } from '../components/dialog.tsx'
import { go } from '../router.tsx'

type Asked = { hosts?: string[]; group?: number; after: After; expires_hours: number }

// Mend has the updates planned that mend it: on the hosts that are chosen, on those of a group, or wherever one does.
export function Mend({ of: v, on, close }: { of: WholeVulnerability; on?: Target[]; close: () => void }) {
  const mend = useMutation({
    mutationFn: async (body: Asked) => (await told(client.POST('/vulnerabilities/{vulnerability}/mend', { params: { path: { vulnerability: v.id } }, body }))).rollout,
    onSuccess: (id) => go(`/rollouts/${id}`),
    onSettled: changed,
  })
  function submit(e: FormEvent<HTMLFormElement>) {
    e.preventDefault()
    const form = new FormData(e.currentTarget)
    const group = Number(form.get('group') ?? 0)
    mend.mutate({ ...(on ? { hosts: on.map((h) => h.id) } : group ? { group } : {}), after: afterOf(form), expires_hours: hoursOf(form) })
  }
  const targets = { hosts: on ?? [] }
  return (
    <Dialog title={`Mend ${plain(v.id)} on ${count(on?.length ?? v.mendable, 'host')}`} close={close}>
      <p>{plain(v.because)}</p>
      {on ? <Whom on={targets} /> : null}
      <ul className="names">
        {v.mended_by.slice(0, shown).map((m) => (
          <li key={m.update}>
            {plain(m.name)} {plain(m.to)} <small>{count(m.hosts, 'host')}</small>
          </li>
        ))}
      </ul>
      {v.mended_by.length > shown && <p className="quiet">and {count(v.mended_by.length - shown, 'update')} more</p>}
      <form onSubmit={submit}>
        {!on && <OfGroup />}
        <Afters on={targets} />
        <Patience />
        {mend.isError && <Failed error={mend.error} />}
        <p className="quiet">Nothing is installed yet. Each host says first exactly what it would change; you approve that, or not.</p>
        <Answers close={close}>
          <button className="main" disabled={mend.isPending}>
            {mend.isPending ? 'Asking…' : 'Make the plan'}
          </button>
        </Answers>
      </form>
    </Dialog>
  )
}

// shown is how many updates are named before it is said how many more there are.
const shown = 8

// OfGroup leaves it at the hosts of one group.
function OfGroup() {
  const { data } = useQuery(ask.groups())
  const groups = data?.items ?? []
  if (groups.length === 0) return null
  return (
    <Field label="On">
      {(id) => (
        <select id={id} name="group" defaultValue="">
          <option value="">every host where an update mends it</option>
          {groups.map((g) => (
            <option key={g.id} value={g.id}>
              those of the group {plain(g.name)}
            </option>
          ))}
        </select>
      )}
    </Field>
  )
}
