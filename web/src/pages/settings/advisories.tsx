// Feeds of advisories: how old each is, whose, and what cannot be known; and what somebody has decided not to count.
import { useMutation, useQuery } from '@tanstack/react-query'
import type { FormEvent } from 'react'
import { told } from '../../../core/client.ts'
import { count, plain } from '../../../core/format.ts'
import { dayOf, kindText, scopeText, statusText } from '../../../core/flaws.ts'
import type { Caller, Feed, FeedAddress, ImportedFeeds, Suppression } from '../../../core/types.ts'
import { ask, cache, client } from '../../api.ts'
import { Failed, Field, State, Time } from '../../components/bits.tsx'
import { FlawLink } from '../../components/flaws.tsx'
import { may } from '../../who.ts'
import { decided } from '../suppress.tsx'
import { Table } from './parts.tsx'

// learned asks anew for all that a feed changes.
const learned = () => Promise.all([cache.invalidateQueries({ queryKey: ['advisories'] }), decided()])

export function Advisories({ me }: { me: Caller }) {
  const admin = may(me, 'administer')
  const remove = useMutation({ mutationFn: (feed: string) => told(client.DELETE('/advisories/{feed}', { params: { path: { feed } } })), onSettled: learned })
  const { data } = useQuery(ask.advisories())
  return (
    <>
      <p className="quiet">What is installed on hosts is compared with these on the server. Nothing of the inventory leaves it.</p>
      {data?.unknown.map((u) => (
        <p key={u} className="note">
          {plain(u)}
        </p>
      ))}
      <Table
        cards
        asked={feedsAsked()}
        head={['Feed', 'State', 'Licence', 'Size']}
        empty="No feeds: nothing that is installed is compared with anything, and whether it is vulnerable is not known."
        row={(f) => <FeedRow key={f.name} of={f} remove={admin ? () => confirm(`Remove the feed ${plain(f.name)}? What only it knows is then not known.`) && remove.mutate(f.name) : undefined} />}
      />
      {remove.isError && <Failed error={remove.error} />}
      {admin && data && <Addresses of={data.addresses} />}
      {admin ? <Import /> : <p className="quiet">An administrator can import feeds here.</p>}
      <h2>Suppressions</h2>
      <Suppressions me={me} />
    </>
  )
}

// feedsAsked is the question for feeds, as a table asks it.
function feedsAsked() {
  const { queryKey, queryFn } = ask.advisories()
  return { queryKey: [...queryKey, 'feeds'], queryFn: async () => ({ items: (await queryFn()).feeds }) }
}

function FeedRow({ of: f, remove }: { of: Feed; remove?: () => void }) {
  return (
    <tr>
      <td>
        {plain(f.name)} <small>{[kindText[f.kind] ?? f.kind, f.publisher].filter(Boolean).map(plain).join(' · ')}</small>
        <small className="line">from {plain(f.from)}</small>
      </td>
      <td>
        {f.stale ? <State of="unknown">old</State> : <State of="current">current</State>}{' '}
        <small>
          as of <Time at={f.as_of} />, imported <Time at={f.imported_at} />
          {f.checked_at && f.checked_at > f.imported_at && (
            <>
              , nothing newer <Time at={f.checked_at} />
            </>
          )}
        </small>
        {f.error && (
          <small className="line">
            <State of="security">not had anew</State> {plain(f.error)}
          </small>
        )}
      </td>
      <td>{plain(f.licence)}</td>
      <td>{count(f.entries, 'entry', 'entries')}</td>
      <td className="number">{remove && <button onClick={remove}>Remove</button>}</td>
    </tr>
  )
}

// Import sends a feed, which the server knows by its content and not by its name.
function Import() {
  const send = useMutation({
    mutationFn: ({ file, replace }: { file: File; replace: boolean }) =>
      told(client.POST('/advisories', { params: { query: { from: file.name, replace } }, body: file as never, bodySerializer: (b) => b as never, headers: { 'Content-Type': 'application/octet-stream' } })),
    onSettled: learned,
  })
  function submit(e: FormEvent<HTMLFormElement>) {
    e.preventDefault()
    const form = new FormData(e.currentTarget)
    const file = form.get('feed')
    if (file instanceof File) send.mutate({ file, replace: form.has('replace') })
  }
  return (
    <form onSubmit={submit}>
      <Field label="Import a feed" hint="OSV’s archive of a distribution; the tracker of Debian, Alpine or Arch; CISA’s KEV; FIRST’s EPSS; dates of support; or a bundle of redflag advisories export">
        {(id) => <input id={id} name="feed" type="file" required />}
      </Field>
      <label className="tick">
        <input type="checkbox" name="replace" />
        <span>
          Even if it is older or smaller <small>what is there is replaced by anything that is whole</small>
        </span>
      </label>
      <button className="main" disabled={send.isPending}>
        {send.isPending ? 'Importing…' : 'Import'}
      </button>
      <p role="status">{send.data && importedText(send.data)}</p>
      {send.isError && <Failed error={send.error} />}
    </form>
  )
}

function importedText(i: ImportedFeeds): string {
  const feeds = i.feeds.map((f) => `${plain(f.name)}: ${f.unchanged ? 'it was there already' : count(f.entries, 'entry', 'entries')}`)
  return [...feeds, i.problems && plain(i.problems)].filter(Boolean).join('; ')
}

// Addresses are those that the server asks by itself, because its configuration names them.
function Addresses({ of: list }: { of: FeedAddress[] }) {
  const fetch = useMutation({ mutationFn: (url: string) => told(client.POST('/advisories', { body: { url } as never })), onSettled: learned })
  if (list.length === 0) return <p className="quiet">The server asks nobody for feeds: its configuration names no address.</p>
  return (
    <>
      <h3>Addresses that the server asks</h3>
      <ul className="plain">
        {list.map((a) => (
          <li key={a.url}>
            {plain(a.url)}{' '}
            <button disabled={fetch.isPending} onClick={() => fetch.mutate(a.url)}>
              Ask now
            </button>
            {a.error && <p className="note bad">{plain(a.error)}</p>}
          </li>
        ))}
      </ul>
      <p role="status">{fetch.data && importedText(fetch.data)}</p>
      {fetch.isError && <Failed error={fetch.error} />}
    </>
  )
}

// Suppressions are what somebody has decided not to count, those that have run out first: they ask for a look.
function Suppressions({ me }: { me: Caller }) {
  const remove = useMutation({ mutationFn: (suppression: number) => told(client.DELETE('/suppressions/{suppression}', { params: { path: { suppression } } })), onSettled: decided })
  return (
    <>
      {remove.isError && <Failed error={remove.error} />}
      <Table
        cards
        asked={ask.suppressions()}
        head={['Vulnerability', 'For', 'Because', 'Until']}
        empty="Nothing is suppressed. A vulnerability’s page lets you say that it does not count, why, and until when."
        row={(s: Suppression) => (
          <tr key={s.suppression}>
            <td>
              <FlawLink id={s.id} />
            </td>
            <td>{plain(scopeText(s))}</td>
            <td>
              {statusText[s.status] ?? plain(s.status)}: {plain(s.reason)} <small>{plain(s.owner)}</small>
            </td>
            <td>{s.expired ? <State of="unknown">ran out on {dayOf(s.until)}: it counts again</State> : dayOf(s.until)}</td>
            <td className="number">{may(me, 'operate') && <button onClick={() => remove.mutate(s.suppression)}>Remove</button>}</td>
          </tr>
        )}
      />
    </>
  )
}
