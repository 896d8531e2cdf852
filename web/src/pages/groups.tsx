import { useQuery } from '@tanstack/react-query'
import { plain } from '../../core/format.ts'
import type { Host, OfferGroup } from '../../core/types.ts'
import { ask } from '../api.ts'
import { Empty, Export, Number as Count } from '../components/bits.tsx'
import { type Column, List } from '../components/list.tsx'
import { Link, to, useParam } from '../router.tsx'

const counts: Column<{ security: number; updates: number; blocked: number }>[] = [
  { head: 'Security', width: '6.5rem', number: true, cell: (g) => <Count of={g.security} /> },
  { head: 'Updates', width: '6.5rem', number: true, cell: (g) => <Count of={g.updates} /> },
  { head: 'Blocked', width: '6.5rem', number: true, cell: (g) => <Count of={g.blocked} /> },
]

// Grouped is what is pending, by something that updates have in common.
export function Grouped({ by }: { by: string }) {
  if (by === 'host') return <ByHost />
  if (by === 'label') return <ByLabel />
  return <Groups by={by} link={(g) => (by === 'source' ? to('/updates', { source: g.name }) : to('/updates', { q: g.name, source: g.source }))} />
}

function Groups({ by, label, link }: { by: string; label?: string; link: (g: OfferGroup) => string }) {
  const filter = { by, label }
  const columns: Column<OfferGroup>[] = [
    { head: by === 'label' ? (label ?? '') : by, width: 'minmax(12rem, 3fr)', cell: (g) => <Link href={link(g)}>{plain(g.name) || `without ${label ?? ''}`}</Link> },
    ...(by === 'label' ? [{ head: 'Hosts', width: '6rem', number: true, cell: (g: OfferGroup) => <Count of={g.hosts ?? 0} /> }] : []),
    ...counts,
  ]
  return (
    <>
      <div className="filters">
        <Export path="/updates/groups" filter={filter} />
      </div>
      <List label={`Updates by ${by}`} asked={ask.offerGroups(filter)} columns={columns} id={(g) => `${g.name} ${g.source ?? ''}`} empty={<Empty>No updates are pending on any host that is known.</Empty>} />
    </>
  )
}

function ByLabel() {
  const [label, set] = useParam('label')
  const { data } = useQuery(ask.labels())
  const names = [...new Set((data?.items ?? []).map((l) => l.name))]
  const chosen = label || names[0]
  if (!chosen) return <Empty>No host has a label. They get some from their token, or on their own page.</Empty>
  return (
    <>
      <div className="filters">
        <select aria-label="Label" value={chosen} onChange={(e) => set(e.target.value)}>
          {names.map((n) => (
            <option key={n} value={n}>
              {plain(n)}
            </option>
          ))}
        </select>
      </div>
      <Groups by="label" label={chosen} link={(g) => to('/hosts', { label: g.name ? `${chosen}=${g.name}` : `!${chosen}` })} />
    </>
  )
}

function ByHost() {
  const columns: Column<Host>[] = [{ head: 'Host', width: 'minmax(12rem, 3fr)', cell: (h) => <Link href={`/hosts/${h.id}`}>{plain(h.facts.name)}</Link> }, ...counts]
  return <List label="Updates by host" asked={ask.hosts({ sort: '-updates' })} columns={columns} id={(h) => h.id} empty={<Empty>No hosts yet.</Empty>} />
}
