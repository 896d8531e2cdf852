import { useMutation, useQuery } from '@tanstack/react-query'
import { type FormEvent, useState } from 'react'
import { bytes, count, number, plain, short } from '../../core/format.ts'
import type { Filter } from '../../core/queries.ts'
import type { Caller, Offer, OnHost, Update as UpdateType } from '../../core/types.ts'
import { ask } from '../api.ts'
import { afterOf, Afters, hoursOf, Install, most, Patience, start, type Target } from '../components/act.tsx'
import { Choice, Export, Empty, Facts, Failed, Loading, Marks, Search, Step, Time, Title, useTitle } from '../components/bits.tsx'
import { Bar, useChosen } from '../components/choose.tsx'
import { Answers, Dialog } from '../components/dialog.tsx'
import { type Column, List } from '../components/list.tsx'
import { go, Link, to, useLocation } from '../router.tsx'
import { may } from '../who.ts'
import { filterOf } from './filters.ts'
import { Grouped } from './groups.tsx'

const columns: Column<Offer>[] = [
  {
    head: 'Update',
    width: 'minmax(12rem, 2fr)',
    sort: 'name',
    cell: (o) => (
      <>
        <Link href={`/updates/${o.id}`}>{plain(o.update.name)}</Link>
        <small>{plain(o.update.summary)}</small>
      </>
    ),
  },
  { head: 'Version', width: 'minmax(14rem, 2fr)', cell: (o) => <Step update={o.update} /> },
  { head: 'About', width: 'minmax(7rem, 1fr)', cell: (o) => <Marks update={{ ...o.update, blocked: o.blocked ? `blocked on ${o.blocked}` : '' }} /> },
  { head: 'Hosts', width: '6rem', number: true, sort: 'hosts', cell: (o) => number(o.hosts) },
  { head: 'Since', width: '7.5rem', sort: 'first_seen', cell: (o) => <Time at={o.first_seen} /> },
]

export function Updates({ me }: { me: Caller }) {
  useTitle('Updates')
  const { params } = useLocation()
  const by = params.get('by') ?? ''
  const filter = filterOf('/updates', params)
  return (
    <>
      <Title aside={by ? undefined : <Export path="/updates" filter={filter} />}>Updates</Title>
      <div className="filters">
        <Choice name="by" label="By" choices={[['', 'By update'], ['package', 'Package'], ['host', 'Host'], ['source', 'Source'], ['label', 'Label']]} />
      </div>
      {by ? <Grouped by={by} me={me} /> : <Flat filter={filter} filtered={params.size > 0} me={me} />}
    </>
  )
}

const offerID = (o: Offer) => String(o.id)
const offerName = (o: Offer) => `${plain(o.update.name)} ${plain(short(o.update.to, o.update.to_version))}`

function Flat({ filter, filtered, me }: { filter: Filter; filtered: boolean; me: Caller }) {
  const chosen = useChosen<Offer>()
  const choose = may(me, 'operate') ? { chosen, name: offerName } : undefined
  return (
    <>
      <div className="filters">
        <Search name="q" label="Search updates by name" placeholder="Name" />
        <Choice name="security" label="Security" choices={[['', 'All'], ['true', 'Security']]} />
        <Choice name="source" label="Source" choices={[['', 'Every source'], ['apt', 'apt'], ['docker', 'docker'], ['podman', 'podman']]} />
        <Choice name="blocked" label="Blocked" choices={[['', 'Any'], ['true', 'Blocked']]} />
      </div>
      <List label="Updates" asked={ask.updates(filter)} columns={columns} id={offerID} choose={choose} empty={<Empty>{filtered ? 'No update is like that.' : 'No updates are pending on any host that is known.'}</Empty>} />
      {choose && (
        <Bar chosen={chosen} one="update" asked={ask.updates(filter)} id={offerID}>
          {(offers) => <InstallThese offers={offers} />}
        </Bar>
      )}
    </>
  )
}

// ImageDetails is what is known of the newer image beside its digest.
function ImageDetails({ update: u }: { update: UpdateType }) {
  const links: [string | undefined, string][] = [
    [u.release_notes, 'Release notes'],
    [u.source_url, 'Source code'],
  ]
  return (
    <>
      {u.note && <p className="note">{plain(u.note)}</p>}
      <Facts
        rows={[
          ['What to do', kinds[u.kind ?? '']],
          ['Platform', u.platform],
          ['Runs', [u.from_version, plain(short(u.from))].filter(Boolean).join(', ')],
          ['The one that runs was built', u.from_created && <Time at={u.from_created} />],
          ['On offer', [u.to_version, plain(short(u.to))].filter(Boolean).join(', ')],
          ['The newer one was built', u.to_created && <Time at={u.to_created} />],
        ]}
      />
      <p>
        <Link href={to('/images', { name: u.name })}>Where this image runs</Link>
        {links.map(
          ([href, text]) =>
            href &&
            /^https?:/.test(href) && (
              <span key={text}>
                {' · '}
                <a href={href} rel="noreferrer">
                  {text}
                </a>
              </span>
            ),
        )}
      </p>
      {u.changes && u.changes.length > 0 && (
        <>
          <h2>What runs otherwise</h2>
          <div className="scroll" tabIndex={0} role="region" aria-label="What runs otherwise">
            <table>
              <thead>
                <tr>
                  <th>What</th>
                  <th>Until now</th>
                  <th>After the update</th>
                </tr>
              </thead>
              <tbody>
                {u.changes.map((c) => (
                  <tr key={c.what}>
                    <td>{plain(c.what)}</td>
                    <td>{c.from ? <code>{plain(c.from)}</code> : <span className="quiet">none</span>}</td>
                    <td>{c.to ? <code>{plain(c.to)}</code> : <span className="quiet">none</span>}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        </>
      )}
    </>
  )
}

const kinds: Record<string, string> = {
  rebuild: 'Pull the tag again: it has other content now',
  recreate: 'Create the containers again: newer content is here already',
  version: 'Change the tag: a higher version is there',
}

const onHosts: Column<OnHost>[] = [
  { head: 'Host', width: 'minmax(12rem, 2fr)', cell: (o) => <Link href={`/hosts/${o.host}`}>{plain(o.host_name)}</Link> },
  { head: 'About', width: 'minmax(8rem, 2fr)', cell: (o) => <Marks update={o.update} /> },
  { head: 'Since', width: '8rem', cell: (o) => <Time at={o.first_seen} /> },
]

const hostID = (o: OnHost) => `${o.host} ${o.update.arch}`
const hostName = (o: OnHost) => plain(o.host_name)
const asTarget = (o: OnHost): Target => ({ id: o.host, name: o.host_name })

export function Update({ id, me }: { id: number; me: Caller }) {
  const chosen = useChosen<OnHost>()
  const choose = may(me, 'operate') ? { chosen, name: hostName } : undefined
  const { data: o, error, refetch } = useQuery(ask.update(id))
  useTitle(o?.update.name ?? 'Update')
  if (error && !o) return <Failed error={error} again={() => void refetch()} />
  if (!o) return <Loading />
  const u = o.update
  return (
    <>
      <Title
        aside={
          <>
            <Export path={`/updates/${id}/hosts`} />
            {choose && <InstallEverywhere offer={o} />}
          </>
        }
      >
        {plain(u.name)}
      </Title>
      <p>
        <Step update={u} /> <Marks update={u} />
      </p>
      <p className="quiet">
        {plain(u.summary)} {u.origin && `From ${plain(u.origin)}.`} {bytes(u.size)} · on {count(o.hosts, 'host')}, the first time <Time at={o.first_seen} />
      </p>
      {u.kind && <ImageDetails update={u} />}
      <List label="Hosts that have it on offer" asked={ask.updateHosts(id)} columns={onHosts} id={hostID} choose={choose} empty={<Empty>No host has it on offer any more.</Empty>} />
      {choose && (
        <Bar chosen={chosen} one="host" asked={ask.updateHosts(id)} id={hostID}>
          {(rows) => <InstallOn hosts={unique(rows.map(asTarget))} name={u.name} />}
        </Bar>
      )}
    </>
  )
}

const unique = (hosts: Target[]): Target[] => [...new Map(hosts.map((h) => [h.id, h])).values()]

// InstallOn installs one update on the hosts that are chosen.
function InstallOn({ hosts, name }: { hosts: Target[]; name: string }) {
  const [open, setOpen] = useState(false)
  return (
    <>
      {hosts.length > most && <small>At most {number(most)} at once.</small>}
      <button className="main" disabled={hosts.length > most} onClick={() => setOpen(true)}>
        Install it…
      </button>
      {open && <Install on={{ hosts }} names={[name]} close={() => setOpen(false)} />}
    </>
  )
}

// hostsOf gives all hosts that have an update, as far as they can be chosen at once.
async function hostsOf(update: number): Promise<Target[]> {
  const list: Target[] = []
  const asked = ask.updateHosts(update)
  for (let after: string | undefined, first = true; (first || after) && list.length <= most; first = false) {
    const page = await asked.queryFn({ pageParam: after })
    list.push(...page.items.map(asTarget))
    after = page.next
  }
  return unique(list)
}

// InstallEverywhere installs an update on every host that has it.
function InstallEverywhere({ offer: o }: { offer: Offer }) {
  const [on, setOn] = useState<Target[]>()
  const read = useMutation({ mutationFn: () => hostsOf(o.id), onSuccess: setOn })
  if (o.hosts === 0) return null
  return (
    <>
      {read.isError && <Failed error={read.error} />}
      <button className="main" disabled={read.isPending || o.hosts > most} title={o.hosts > most ? `At most ${number(most)} hosts at once: choose some below` : undefined} onClick={() => read.mutate()}>
        Install on {count(o.hosts, 'host')}…
      </button>
      {on && <Install on={{ hosts: on }} names={[o.update.name]} close={() => setOn(undefined)} />}
    </>
  )
}

// Part is a set of names, and the hosts that have exactly these of all that were chosen: a host cannot plan what is not on offer to it.
type Part = { names: string[]; hosts: Target[] }

// partsOf sorts hosts by which of the updates they have.
async function partsOf(offers: Offer[]): Promise<Part[]> {
  const has = new Map<string, { host: Target; names: Set<string> }>()
  for (const o of offers) {
    for (const host of await hostsOf(o.id)) {
      const known = has.get(host.id) ?? { host, names: new Set() }
      known.names.add(o.update.name)
      has.set(host.id, known)
    }
  }
  const parts = new Map<string, Part>()
  for (const { host, names } of has.values()) {
    const list = [...names].sort()
    const key = list.join(' ')
    parts.set(key, { names: list, hosts: [...(parts.get(key)?.hosts ?? []), host] })
  }
  return [...parts.values()].sort((a, b) => b.hosts.length - a.hosts.length)
}

// mostOffers and mostParts bound what is made of a choice of updates: beyond that it is simpler to choose hosts.
const mostOffers = 50
const mostParts = 10

// InstallThese installs the updates that are chosen, on all hosts that have them.
function InstallThese({ offers }: { offers: Offer[] }) {
  const [parts, setParts] = useState<Part[]>()
  const read = useMutation({ mutationFn: () => partsOf(offers), onSuccess: setParts })
  const many = offers.length > mostOffers
  return (
    <>
      {many && <small>At most {mostOffers} at once: to install more, choose hosts.</small>}
      {read.isError && <Failed error={read.error} />}
      <button className="main" disabled={many || read.isPending} onClick={() => read.mutate()}>
        {read.isPending ? 'Looking who has them…' : 'Install them…'}
      </button>
      {parts?.length === 1 && <Install on={{ hosts: parts[0]?.hosts ?? [] }} names={parts[0]?.names} close={() => setParts(undefined)} />}
      {parts && parts.length !== 1 && <InstallParts parts={parts} close={() => setParts(undefined)} />}
    </>
  )
}

// InstallParts makes a plan for each set of hosts that have the same ones of the updates.
function InstallParts({ parts, close }: { parts: Part[]; close: () => void }) {
  const make = useMutation({
    mutationFn: async (form: FormData) => {
      for (const p of parts) await start({ hosts: p.hosts }, { work: { install: { names: p.names } }, after: afterOf(form), expires_hours: hoursOf(form) })
    },
    onSuccess: () => go('/work'),
  })
  const all = { hosts: unique(parts.flatMap((p) => p.hosts)) }
  const none = parts.length === 0
  const many = parts.length > mostParts || parts.some((p) => p.hosts.length > most)
  function submit(e: FormEvent<HTMLFormElement>) {
    e.preventDefault()
    make.mutate(new FormData(e.currentTarget))
  }
  return (
    <Dialog title={none ? 'No host has them any more' : `Install on ${count(all.hosts.length, 'host')}`} close={close}>
      {!none && (
        <>
          <p>The hosts have different ones of these updates on offer, so {count(parts.length, 'plan is', 'plans are')} made:</p>
          <ul className="names">
            {parts.slice(0, mostParts).map((p) => (
              <li key={p.names.join()}>
                {plain(p.names.join(', '))} <small>{count(p.hosts.length, 'host')}</small>
              </li>
            ))}
          </ul>
          {many && <p className="note bad">That is too much at once: choose fewer updates, or choose hosts instead.</p>}
        </>
      )}
      <form onSubmit={submit}>
        {!none && (
          <>
            <Afters on={all} />
            <Patience />
          </>
        )}
        {make.isError && <Failed error={make.error} />}
        <Answers close={close}>
          {!none && (
            <button className="main" disabled={many || make.isPending}>
              Make the plans
            </button>
          )}
        </Answers>
      </form>
    </Dialog>
  )
}
