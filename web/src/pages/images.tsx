import { useQuery } from '@tanstack/react-query'
import { number, plain, span } from '../../core/format.ts'
import type { Image, ImageOnHost } from '../../core/types.ts'
import { ask } from '../api.ts'
import { Choice, Export, Empty, Search, Time, Title, useTitle } from '../components/bits.tsx'
import { type Column, List } from '../components/list.tsx'
import { Link, to, useLocation } from '../router.tsx'
import { filterOf } from './filters.ts'

const columns: Column<Image>[] = [
  { head: 'Image', width: 'minmax(14rem, 3fr)', cell: (i) => <Link href={to('/images', { name: i.name })}>{plain(i.name)}</Link> },
  { head: 'Platform', width: '9rem', cell: (i) => <span className="quiet">{plain(i.platform)}</span> },
  {
    head: 'Answers',
    width: 'minmax(10rem, 2fr)',
    cell: (i) =>
      Object.entries(i.answers).map(([answer, n]) => (
        <span key={answer} className="tag">
          {answer} {n}
        </span>
      )),
  },
  { head: 'Hosts', width: '6rem', number: true, cell: (i) => number(i.hosts) },
]

const onHosts: Column<ImageOnHost>[] = [
  { head: 'Host', width: 'minmax(10rem, 2fr)', cell: (i) => <Link href={`/hosts/${i.host}`}>{plain(i.host_name)}</Link> },
  {
    head: 'Answer',
    width: 'minmax(12rem, 3fr)',
    cell: (i) => (
      <>
        <span className="tag">{i.check.answer}</span> <small>{plain([i.check.because, i.check.remedy, i.check.versions_unknown].filter(Boolean).join(' '))}</small>
      </>
    ),
  },
  { head: 'Containers', width: 'minmax(8rem, 2fr)', cell: (i) => plain(i.check.containers.join(', ')) },
  { head: 'Asked', width: '8rem', cell: (i) => <Time at={i.check.checked_at} /> },
]

export function Images() {
  const { params } = useLocation()
  const name = params.get('name')
  useTitle(name ?? 'Images')
  if (name)
    return (
      <>
        <Title aside={<Export path="/images/hosts" filter={{ name }} />}>{plain(name)}</Title>
        <p>
          <Link href="/images">All images</Link>
        </p>
        <List label="Hosts on which it runs" asked={ask.imageHosts(name)} columns={onHosts} id={(i) => i.host + i.source + i.check.platform} empty={<Empty>It runs on no host.</Empty>} />
      </>
    )
  const filter = filterOf('/images', params)
  return (
    <>
      <Title aside={<Export path="/images" filter={filter} />}>Images</Title>
      <Budgets />
      <div className="filters">
        <Search name="q" label="Search images by name" placeholder="Name" />
        <Choice name="answer" label="Answer" choices={[['', 'All'], ['update', 'Update'], ['unknown', 'Unknown'], ['gone', 'Gone'], ['pinned', 'Pinned'], ['local', 'Local'], ['current', 'Current']]} />
      </div>
      <List label="Images" asked={ask.images(filter)} columns={columns} id={(i) => i.name + ' ' + i.platform} empty={<Empty>No image is like that.</Empty>} />
    </>
  )
}

// Budgets says what registries have left for this server.
function Budgets() {
  const { data } = useQuery({ ...ask.server(), staleTime: 60_000 })
  const list = (data?.budgets ?? []).filter((b) => b.limit > 0)
  if (list.length === 0) return null
  return (
    <p className="quiet">
      {list.map((b) => `${plain(b.host)}: ${b.remaining} of ${b.limit} pulls left in ${span(b.window_seconds)}`).join(' · ')}
    </p>
  )
}
