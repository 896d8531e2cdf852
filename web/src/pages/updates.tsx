import { useQuery } from '@tanstack/react-query'
import { bytes, count, number, plain, short } from '../../core/format.ts'
import type { Filter } from '../../core/queries.ts'
import type { Offer, OnHost, Update as UpdateType } from '../../core/types.ts'
import { ask } from '../api.ts'
import { Choice, Export, Empty, Facts, Failed, Loading, Marks, Search, Step, Time, Title, useTitle } from '../components/bits.tsx'
import { type Column, List } from '../components/list.tsx'
import { Link, to, useLocation } from '../router.tsx'
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

export function Updates() {
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
      {by ? <Grouped by={by} /> : <Flat filter={filter} filtered={params.size > 0} />}
    </>
  )
}

function Flat({ filter, filtered }: { filter: Filter; filtered: boolean }) {
  return (
    <>
      <div className="filters">
        <Search name="q" label="Search updates by name" placeholder="Name" />
        <Choice name="security" label="Security" choices={[['', 'All'], ['true', 'Security']]} />
        <Choice name="source" label="Source" choices={[['', 'Every source'], ['apt', 'apt'], ['docker', 'docker'], ['podman', 'podman']]} />
        <Choice name="blocked" label="Blocked" choices={[['', 'Any'], ['true', 'Blocked']]} />
      </div>
      <List label="Updates" asked={ask.updates(filter)} columns={columns} id={(o) => String(o.id)} empty={<Empty>{filtered ? 'No update is like that.' : 'No updates are pending on any host that is known.'}</Empty>} />
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

export function Update({ id }: { id: number }) {
  const { data: o, error, refetch } = useQuery(ask.update(id))
  useTitle(o?.update.name ?? 'Update')
  if (error && !o) return <Failed error={error} again={() => void refetch()} />
  if (!o) return <Loading />
  const u = o.update
  return (
    <>
      <Title aside={<Export path={`/updates/${id}/hosts`} />}>{plain(u.name)}</Title>
      <p>
        <Step update={u} /> <Marks update={u} />
      </p>
      <p className="quiet">
        {plain(u.summary)} {u.origin && `From ${plain(u.origin)}.`} {bytes(u.size)} · on {count(o.hosts, 'host')}, the first time <Time at={o.first_seen} />
      </p>
      {u.kind && <ImageDetails update={u} />}
      <List label="Hosts that have it on offer" asked={ask.updateHosts(id)} columns={onHosts} id={(h) => h.host + h.update.arch} empty={<Empty>No host has it on offer any more.</Empty>} />
    </>
  )
}
