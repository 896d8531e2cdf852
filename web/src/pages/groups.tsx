import { useQuery } from '@tanstack/react-query'
import { plain } from '../../core/format.ts'
import type { Caller, Host, OfferGroup } from '../../core/types.ts'
import { ask } from '../api.ts'
import { Acts, target } from '../components/act.tsx'
import { Empty, Export, Number as Count } from '../components/bits.tsx'
import { Bar, useChosen } from '../components/choose.tsx'
import { type Column, List } from '../components/list.tsx'
import { Link, to, useParam } from '../router.tsx'
import { may } from '../who.ts'

const counts: Column<{ security: number; updates: number; blocked: number }>[] = [
  { head: 'Security', width: '6.5rem', number: true, cell: (g) => <Count of={g.security} /> },
  { head: 'Updates', width: '6.5rem', number: true, cell: (g) => <Count of={g.updates} /> },
  { head: 'Blocked', width: '6.5rem', number: true, cell: (g) => <Count of={g.blocked} /> },
]

// Grouped is what is pending, by something that updates have in common.
export function Grouped({ by, me }: { by: string; me: Caller }) {
  if (by === 'host') return <ByHost me={me} />
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

const byHost: Column<Host>[] = [{ head: 'Host', width: 'minmax(12rem, 3fr)', cell: (h) => <Link href={`/hosts/${h.id}`}>{plain(h.facts.name)}</Link> }, ...counts]
const id = (h: Host) => h.id
const name = (h: Host) => plain(h.facts.name)

function ByHost({ me }: { me: Caller }) {
  const chosen = useChosen<Host>()
  const choose = may(me, 'operate') ? { chosen, name } : undefined
  const asked = ask.hosts({ sort: '-updates' })
  return (
    <>
      <List label="Updates by host" asked={asked} columns={byHost} id={id} choose={choose} empty={<Empty>No hosts yet.</Empty>} />
      {choose && (
        <Bar chosen={chosen} one="host" asked={asked} id={id}>
          {(hosts) => <Acts on={hosts.map(target)} />}
        </Bar>
      )}
    </>
  )
}
