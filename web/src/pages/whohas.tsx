// The hosts that have a vulnerability, and what mends it on each: an update, a restart, a reboot, or nothing yet.
import { useMutation } from '@tanstack/react-query'
import { useState } from 'react'
import { count, number, plain, short } from '../../core/format.ts'
import type { Caller, VulnerableHost, WholeVulnerability } from '../../core/types.ts'
import { ask } from '../api.ts'
import { most, Reboots, Restarts, type Target } from '../components/act.tsx'
import { Empty, Failed, State } from '../components/bits.tsx'
import { Bar, useChosen } from '../components/choose.tsx'
import { SuppressedMark } from '../components/flaws.tsx'
import { Knowledge } from '../components/knowledge.tsx'
import { type Column, List } from '../components/list.tsx'
import { Link } from '../router.tsx'
import { may } from '../who.ts'
import { Mend } from './mend.tsx'
import { unique } from './several.tsx'

const onHosts: Column<VulnerableHost>[] = [
  { head: 'Host', width: 'minmax(10rem, 1.4fr)', cell: (h) => <Link href={`/hosts/${h.host}`}>{plain(h.host_name)}</Link> },
  {
    head: 'Has',
    width: 'minmax(10rem, 1.6fr)',
    cell: (h) => (
      <>
        {plain(h.package)} {plain(h.version)} <SuppressedMark of={h} /> <small>{plain(h.ecosystem)}</small>
      </>
    ),
  },
  { head: 'What mends it there', width: 'minmax(12rem, 2fr)', cell: (h) => <Way of={h} /> },
]

// Way is what mends it on a host: an update, a restart of what still runs the old code, or nothing yet.
function Way({ of: h }: { of: VulnerableHost }) {
  if (h.in_memory)
    return (
      <>
        <State of="window">still in memory</State> {h.services.length > 0 && <>until it restarts: {plain(h.services.join(', '))}</>} <small>{plain(h.in_memory)}</small>
      </>
    )
  if (!h.update) return <span className="quiet">{h.fixed_in ? `mended in ${plain(h.fixed_in)}, not on offer here` : 'no fix'}</span>
  return (
    <>
      <Link href={`/updates/${h.update.update}`}>{plain(h.update.name)}</Link> {plain(short(h.update.from))} → {plain(short(h.update.to))}
      {h.update.blocked && <span className="tag">{plain(h.update.blocked)}</span>}
    </>
  )
}

const hostID = (h: VulnerableHost) => `${h.host} ${h.package} ${h.version}`
const hostName = (h: VulnerableHost) => plain(h.host_name)
const asTarget = (h: VulnerableHost): Target => ({ id: h.host, name: h.host_name })
const restarts = (h: VulnerableHost) => Boolean(h.in_memory && h.services.length > 0)
const reboots = (h: VulnerableHost) => Boolean(h.in_memory && h.services.length === 0)
const mendable = (h: VulnerableHost) => Boolean(h.update && !h.update.blocked && !h.in_memory && !h.suppressed)

export function WhoHas({ of: v, me }: { of: WholeVulnerability; me: Caller }) {
  const chosen = useChosen<VulnerableHost>()
  const choose = may(me, 'operate') ? { chosen, name: hostName } : undefined
  const asked = ask.vulnerabilityHosts(v.id)
  return (
    <section>
      <h2>Hosts</h2>
      <Knowledge me={me} />
      <InMemory of={v} me={me} />
      <List label="Hosts that have it" asked={asked} columns={onHosts} id={hostID} choose={choose} empty={<Empty>No host has it.</Empty>} />
      {choose && (
        <Bar chosen={chosen} one="row" asked={asked} id={hostID}>
          {(rows) => <OnChosen of={v} rows={rows} />}
        </Bar>
      )}
    </section>
  )
}

type Todo = '' | 'mend' | 'restart' | 'reboot'

// OnChosen mends it on the hosts that are chosen: by updates where one does, by a restart or a reboot where that is all that is missing.
function OnChosen({ of: v, rows }: { of: WholeVulnerability; rows: VulnerableHost[] }) {
  const [open, setOpen] = useState<Todo>('')
  const close = () => setOpen('')
  const mend = unique(rows.filter(mendable).map(asTarget))
  const restart = unique(rows.filter(restarts).map(asTarget))
  const reboot = unique(rows.filter(reboots).map(asTarget))
  return (
    <>
      {mend.length > most && <small>At most {number(most)} at once.</small>}
      {mend.length + restart.length + reboot.length === 0 && <small>Nothing mends it there.</small>}
      {restart.length > 0 && <button onClick={() => setOpen('restart')}>Restart services on {count(restart.length, 'host')}…</button>}
      {reboot.length > 0 && <button onClick={() => setOpen('reboot')}>Reboot {count(reboot.length, 'host')}…</button>}
      {mend.length > 0 && (
        <button className="main" disabled={mend.length > most} onClick={() => setOpen('mend')}>
          Mend on {count(mend.length, 'host')}…
        </button>
      )}
      {open === 'mend' && <Mend of={v} on={mend} close={close} />}
      {open === 'restart' && <Restarts on={{ hosts: restart }} close={close} />}
      {open === 'reboot' && <Reboots on={{ hosts: reboot }} close={close} />}
    </>
  )
}

// InMemory says where the old code still runs, and offers to end that.
function InMemory({ of: v, me }: { of: WholeVulnerability; me: Caller }) {
  const [on, setOn] = useState<VulnerableHost[]>()
  const read = useMutation({ mutationFn: () => stillRunning(v.id), onSuccess: setOn })
  const close = () => setOn(undefined)
  if (v.in_memory + v.in_memory_unknown === 0) return null
  const restart = unique((on ?? []).filter(restarts).map(asTarget))
  const reboot = unique((on ?? []).filter(reboots).map(asTarget))
  return (
    <div className="note">
      {v.in_memory > 0 && (
        <p>
          On {count(v.in_memory, 'host')} it is mended on disk, and the old code is still in memory until services restart or the host reboots.{' '}
          {may(me, 'operate') && (
            <button disabled={read.isPending} onClick={() => read.mutate()}>
              Restart what runs it…
            </button>
          )}
        </p>
      )}
      {v.in_memory_unknown > 0 && <p>On {count(v.in_memory_unknown, 'host')} it is mended on disk, and whether the old code still runs is not known.</p>}
      {read.isError && <Failed error={read.error} />}
      {restart.length > 0 ? <Restarts on={{ hosts: restart }} close={close} /> : reboot.length > 0 && <Reboots on={{ hosts: reboot }} close={close} />}
    </div>
  )
}

// stillRunning gives the hosts where only a restart or a reboot is missing, as far as they can be chosen at once.
async function stillRunning(id: string): Promise<VulnerableHost[]> {
  const list: VulnerableHost[] = []
  const asked = ask.vulnerabilityHosts(id)
  for (let after: string | undefined, first = true; (first || after) && list.length <= most; first = false) {
    const page = await asked.queryFn({ pageParam: after })
    list.push(...page.items.filter((h) => h.in_memory))
    after = page.next
  }
  return list
}
