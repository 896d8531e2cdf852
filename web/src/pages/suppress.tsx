// Somebody's decision that a vulnerability does not count, until a day.
import { useMutation, useQuery } from '@tanstack/react-query'
import type { FormEvent } from 'react'
import { told } from '../../core/client.ts'
import { plain } from '../../core/format.ts'
import type { Caller, WholeVulnerability } from '../../core/types.ts'
import { ask, cache, client } from '../api.ts'
import { Failed, Field } from '../components/bits.tsx'
import { Answers, Dialog } from '../components/dialog.tsx'

// usual is for how many days a decision holds where nobody says otherwise: long enough to act, short enough to be looked at again.
const usual = 90
const long = 86_400_000

const dayIn = (days: number) => new Date(Date.now() + days * long).toISOString().slice(0, 10)

// decided asks anew for all that a decision changes.
export const decided = () => cache.invalidateQueries({ predicate: (q) => ['suppressions', 'vulnerabilities', 'updates', 'host', 'hosts', 'summary'].includes(String(q.queryKey[0])) })

export function Suppress({ of: v, me, close }: { of: WholeVulnerability; me: Caller; close: () => void }) {
  const { data } = useQuery(ask.groups())
  const groups = data?.items ?? []
  const suppress = useMutation({
    mutationFn: (form: FormData) => {
      const text = (name: string) => String(form.get(name) ?? '').trim()
      return told(
        client.POST('/suppressions', {
          body: { id: v.id, status: text('status') as 'accepted', owner: text('owner'), reason: text('reason'), until: text('until'), ...(text('package') ? { package: text('package') } : {}), ...(text('group') ? { group: Number(text('group')) } : {}) },
        }),
      )
    },
    onSuccess: close,
    onSettled: decided,
  })
  function submit(e: FormEvent<HTMLFormElement>) {
    e.preventDefault()
    suppress.mutate(new FormData(e.currentTarget))
  }
  return (
    <Dialog title={`Suppress ${plain(v.id)}`} close={close}>
      <p className="quiet">It stays in the lists, marked, and does not count. After its last day it counts again by itself.</p>
      <form onSubmit={submit}>
        <fieldset>
          <legend>Because</legend>
          <label className="tick">
            <input type="radio" name="status" value="not_affected" defaultChecked />
            <span>
              We are not affected <small>what is vulnerable is not used here, or cannot be reached</small>
            </span>
          </label>
          <label className="tick">
            <input type="radio" name="status" value="accepted" />
            <span>
              The risk is accepted <small>for a time, and somebody answers for it</small>
            </span>
          </label>
        </fieldset>
        <Field label="Reason">{(id) => <input id={id} name="reason" required maxLength={500} autoComplete="off" />}</Field>
        <Field label="Who answers for it">{(id) => <input id={id} name="owner" required maxLength={200} defaultValue={me.name} />}</Field>
        <Field label="Last day">{(id) => <input id={id} name="until" type="date" required min={dayIn(0)} defaultValue={dayIn(usual)} />}</Field>
        <Field label="Package">
          {(id) => (
            <select id={id} name="package" defaultValue="">
              <option value="">every package that has it</option>
              {v.packages.map((p) => (
                <option key={p} value={p}>
                  {plain(p)}
                </option>
              ))}
            </select>
          )}
        </Field>
        {groups.length > 0 && (
          <Field label="Hosts">
            {(id) => (
              <select id={id} name="group" defaultValue="">
                <option value="">every host</option>
                {groups.map((g) => (
                  <option key={g.id} value={g.id}>
                    those of the group {plain(g.name)}
                  </option>
                ))}
              </select>
            )}
          </Field>
        )}
        {suppress.isError && <Failed error={suppress.error} />}
        <Answers close={close}>
          <button className="main" disabled={suppress.isPending}>
            Suppress
          </button>
        </Answers>
      </form>
    </Dialog>
  )
}
