import { useInfiniteQuery, useMutation } from '@tanstack/react-query'
import { type FormEvent, useState } from 'react'
import { told } from '../../core/client.ts'
import { plain, readLabels } from '../../core/format.ts'
import type { Caller, NewToken } from '../../core/types.ts'
import { ask, client } from '../api.ts'
import { Copy, Empty, Failed, Field, State, Time, Title, useTitle } from '../components/bits.tsx'
import { Link } from '../router.tsx'
import { may } from '../who.ts'

export function Add({ me }: { me: Caller }) {
  useTitle('Add hosts')
  const [token, setToken] = useState<NewToken>()
  const make = useMutation({
    mutationFn: (body: { seats: number; minutes: number; labels: Record<string, string> }) => told(client.POST('/tokens', { body })),
    onSuccess: setToken,
  })
  if (!may(me, 'administer')) return <Empty>Only an administrator can add hosts.</Empty>
  function submit(e: FormEvent<HTMLFormElement>) {
    e.preventDefault()
    const form = new FormData(e.currentTarget)
    make.mutate({ seats: Number(form.get('seats')), minutes: Number(form.get('hours')) * 60, labels: readLabels(String(form.get('labels'))) })
  }
  return (
    <>
      <Title>Add hosts</Title>
      {!token && (
        <form onSubmit={submit} className="narrow">
          <Field label="How many hosts">{(id) => <input id={id} name="seats" type="number" min={1} max={1000000} defaultValue={1} required />}</Field>
          <Field label="Within how many hours">{(id) => <input id={id} name="hours" type="number" min={1} max={8784} defaultValue={24} required />}</Field>
          <Field label="Labels" hint="Given to each host that joins: site=berlin, env=prod">
            {(id) => <input id={id} name="labels" maxLength={1000} />}
          </Field>
          <button className="main" disabled={make.isPending}>
            Make a token
          </button>
        </form>
      )}
      {make.isError && <Failed error={make.error} />}
      {token && (
        <>
          <p>On each host, as a user who may use sudo, paste:</p>
          <Copy text={token.install} label="the line to paste" />
          <p>or, where the program is installed already:</p>
          <Copy text={token.enroll} label="the enroll command" />
          <p className="quiet">
            Good for {token.seats} more until {new Date(token.expires_at).toLocaleString()}. It is shown this once.
          </p>
          <Arrivals since={token.created_at} />
        </>
      )}
    </>
  )
}

// Arrivals are the hosts that have joined since the token was made.
function Arrivals({ since }: { since: string }) {
  const { data } = useInfiniteQuery(ask.hosts({ sort: '-seen' }))
  const fresh = (data?.pages.flatMap((p) => p.items) ?? []).filter((h) => Date.parse(h.enrolled_at) >= Date.parse(since))
  return (
    <section aria-live="polite">
      <h2>{fresh.length === 0 ? 'Waiting for the first host…' : 'They have joined'}</h2>
      <ul className="plain">
        {fresh.map((h) => (
          <li key={h.id}>
            <Link href={`/hosts/${h.id}`}>{plain(h.facts.name)}</Link> <State of={h.state} /> <Time at={h.enrolled_at} />
          </li>
        ))}
      </ul>
    </section>
  )
}
