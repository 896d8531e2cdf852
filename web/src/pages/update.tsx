import { useMutation, useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { bytes, count, number, plain, short } from '../../core/format.ts'
import type { Caller, Offer, OnHost, Update as UpdateType } from '../../core/types.ts'
import { ask } from '../api.ts'
import { Install, most, type Target } from '../components/act.tsx'
import { Advice, Reasons } from '../components/advice.tsx'
import { Empty, Export, Facts, Failed, Loading, Marks, Step, Time, Title, useTitle } from '../components/bits.tsx'
import { Bar, useChosen } from '../components/choose.tsx'
import { type Column, List } from '../components/list.tsx'
import { Link, to } from '../router.tsx'
import { may } from '../who.ts'
import { asTarget, hostsOf, unique } from './several.tsx'

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
      {u.advice && <Advice of={u.advice} />}
      {u.kind && <ImageDetails update={u} />}
      {u.advice && <h2>Hosts</h2>}
      <List label="Hosts that have it on offer" asked={ask.updateHosts(id)} columns={onHosts} id={hostID} choose={choose} empty={<Empty>No host has it on offer any more.</Empty>} />
      {choose && (
        <Bar chosen={chosen} one="host" asked={ask.updateHosts(id)} id={hostID}>
          {(rows) => <InstallOn hosts={unique(rows.map(asTarget))} update={u} />}
        </Bar>
      )}
    </>
  )
}

// InstallOn installs one update on the hosts that are chosen.
function InstallOn({ hosts, update }: { hosts: Target[]; update: UpdateType }) {
  const [open, setOpen] = useState(false)
  return (
    <>
      {hosts.length > most && <small>At most {number(most)} at once.</small>}
      <button className="main" disabled={hosts.length > most} onClick={() => setOpen(true)}>
        Install it…
      </button>
      {open && (
        <Install on={{ hosts }} names={[update.name]} close={() => setOpen(false)}>
          <Reasons of={[update]} />
        </Install>
      )}
    </>
  )
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
      {on && (
        <Install on={{ hosts: on }} names={[o.update.name]} close={() => setOn(undefined)}>
          <Reasons of={[o.update]} />
        </Install>
      )}
    </>
  )
}
