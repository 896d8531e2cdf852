import { useQuery } from '@tanstack/react-query'
import { bytes, count, plain } from '../../core/format.ts'
import type { Offer, OnHost } from '../../core/types.ts'
import { ask } from '../api.ts'
import { Choice, Csv, Empty, Failed, Loading, Marks, Search, Step, Time, Title, useTitle } from '../components/bits.tsx'
import { type Column, List } from '../components/list.tsx'
import { Link, useLocation } from '../router.tsx'

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
  { head: 'Hosts', width: '6rem', number: true, sort: 'hosts', cell: (o) => o.hosts.toLocaleString('en-GB') },
  { head: 'Since', width: '7.5rem', sort: 'first_seen', cell: (o) => <Time at={o.first_seen} /> },
]

export function Updates() {
  useTitle('Updates')
  const { params } = useLocation()
  const filter = Object.fromEntries(['q', 'source', 'kind', 'security', 'blocked', 'sort'].map((k) => [k, params.get(k) ?? undefined]))
  return (
    <>
      <Title aside={<Csv path="/updates" filter={filter} />}>Updates</Title>
      <div className="filters">
        <Search name="q" label="Search updates by name" placeholder="Name" />
        <Choice name="security" label="Security" choices={[['', 'All'], ['true', 'Security']]} />
        <Choice name="source" label="Source" choices={[['', 'Every source'], ['apt', 'apt'], ['docker', 'docker'], ['podman', 'podman']]} />
        <Choice name="blocked" label="Blocked" choices={[['', 'Any'], ['true', 'Blocked']]} />
      </div>
      <List label="Updates" asked={ask.updates(filter)} columns={columns} id={(o) => String(o.id)} empty={<Empty>{params.size ? 'No update is like that.' : 'No updates are pending on any host that is known.'}</Empty>} />
    </>
  )
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
      <Title aside={<Csv path={`/updates/${id}/hosts`} />}>{plain(u.name)}</Title>
      <p>
        <Step update={u} /> <Marks update={u} />
      </p>
      <p className="quiet">
        {plain(u.summary)} {u.origin && `From ${plain(u.origin)}.`} {bytes(u.size)} · on {count(o.hosts, 'host')}, the first time <Time at={o.first_seen} />
      </p>
      {u.release_notes && /^https?:/.test(u.release_notes) && (
        <p>
          <a href={u.release_notes} rel="noreferrer">
            Release notes
          </a>
        </p>
      )}
      <List label="Hosts that have it on offer" asked={ask.updateHosts(id)} columns={onHosts} id={(h) => h.host + h.update.arch} empty={<Empty>No host has it on offer any more.</Empty>} />
    </>
  )
}
