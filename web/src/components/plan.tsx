// What would be changed, or was: as much of it as a person must see, what takes something away first and loudest.
import { type ReactNode, useState } from 'react'
import { bytes, count, number, plain, short } from '../../core/format.ts'
import type { Change, Plan, Variant } from '../../core/types.ts'
import { changesText, isLoud } from '../../core/work.ts'
import { State } from './bits.tsx'

// atFirst is how many changes are drawn before somebody asks for all.
const atFirst = 40

const acts: Record<string, string> = { remove: 'removed', purge: 'removed with its configuration', downgrade: 'downgrade', install: 'new', upgrade: 'upgrade', recreate: 'made anew' }

// Changes are what is changed, as a table.
export function Changes({ changes, label }: { changes: Change[]; label: string }) {
  const [all, setAll] = useState(false)
  const loud = changes.filter(isLoud)
  const rest = changes.filter((c) => !isLoud(c))
  const sorted = [...loud, ...rest]
  const shown = all ? sorted : sorted.slice(0, Math.max(atFirst, loud.length))
  return (
    <>
      <div className="scroll" tabIndex={0} role="region" aria-label={label}>
        <table className="changes">
          <thead>
            <tr>
              <th>What</th>
              <th>Name</th>
              <th>Version</th>
              <th>About</th>
            </tr>
          </thead>
          <tbody>
            {shown.map((c) => (
              <tr key={`${c.action} ${c.name} ${c.arch} ${c.from} ${c.to}`} className={isLoud(c) ? 'loud' : undefined}>
                <td>{isLoud(c) ? <State of="security">{acts[c.action]}</State> : (acts[c.action] ?? plain(c.action))}</td>
                <td>
                  {plain(c.name)} {c.image ? <small>{plain(c.image)}</small> : c.arch && <small>{plain(c.arch)}</small>}
                </td>
                <td>{versions(c)}</td>
                <td>
                  <span className="marks">
                    {c.security && <State of="security">security</State>}
                    {c.automatic && <span className="tag">needed by another</span>}
                    {c.origin && <small>{plain(c.origin)}</small>}
                  </span>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {shown.length < sorted.length && <button onClick={() => setAll(true)}>Show all {number(sorted.length)}</button>}
    </>
  )
}

function versions(c: Change): ReactNode {
  const one = (v: string) => plain(short(v))
  if (!c.from) return one(c.to)
  if (!c.to) return <s>{one(c.from)}</s>
  return (
    <>
      {one(c.from)}
      <span aria-label="to"> → </span>
      {one(c.to)}
    </>
  )
}

type Stake = Pick<Variant, 'warnings' | 'config_files' | 'download' | 'disk' | 'reboot' | 'reboot_because' | 'restart'> & { free?: number; restart_because?: string }

// stakeOf gives those of one plan.
export function stakeOf(p: Plan): Stake {
  const unknown = p.restart.needed === 'unknown' ? p.restart.because : ''
  return { ...p, reboot: p.reboot.needed as Stake['reboot'], reboot_because: p.reboot.because, restart: p.restart.services, restart_because: unknown }
}

// Stakes are what comes with the changes: warnings, a reboot, services, configuration, what is fetched.
export function Stakes({ of: p, changes }: { of: Stake; changes: number }) {
  if (changes === 0 && p.warnings.length === 0) return null
  return (
    <>
      {p.warnings.map((w) => (
        <p key={w} className="note bad">
          <b>Mind:</b> {plain(w)}
        </p>
      ))}
      <ul className="stakes">
        {p.reboot === 'yes' && (
          <li>
            <State of="outdated">Reboot needed afterwards</State> {plain(p.reboot_because.join(', '))}
          </li>
        )}
        {p.reboot === 'unknown' && (
          <li>
            <State of="unknown">Whether it needs a reboot is not known</State> {plain(p.reboot_because.join(', '))}
          </li>
        )}
        {p.restart.length > 0 && <li>Services that run what is replaced: {plain(p.restart.map((s) => s.name).join(', '))}</li>}
        {p.restart_because && (
          <li>
            <State of="unknown">Services to restart are not all known:</State> {plain(p.restart_because)}
          </li>
        )}
        {p.config_files.length > 0 && <li>Configuration that was changed on the host, and is kept as it is: {plain(p.config_files.join(', '))}</li>}
        {(p.download > 0 || p.disk !== 0) && <li>{[p.download > 0 && `Download: ${bytes(p.download)}`, p.disk !== 0 && `${bytes(Math.abs(p.disk))} of disk ${p.disk < 0 ? 'freed' : 'more used'}`, p.free && `${bytes(p.free)} free`].filter(Boolean).join(' · ')}</li>}
      </ul>
    </>
  )
}

// most is how many hosts of a variant are named.
const most = 20

// Differs is what hosts with the same plan would change beside what all would.
export function Differs({ of: v, host, common }: { of: Variant; host: (on: Variant['hosts'][number]) => ReactNode; common: Change[] }) {
  const [all, setAll] = useState(false)
  const hosts = all ? v.hosts : v.hosts.slice(0, most)
  return (
    <section className={v.changes.some(isLoud) || v.warnings.length ? 'variant loud' : 'variant'}>
      <h3>
        {hosts.map((h, i) => (
          <span key={h.job}>
            {i > 0 && ', '}
            {host(h)}
          </span>
        ))}
        {hosts.length < v.hosts.length && (
          <>
            {' '}
            <button onClick={() => setAll(true)}>and {number(v.hosts.length - hosts.length)} more</button>
          </>
        )}
      </h3>
      {v.changes.length > 0 ? (
        <>
          <p>{changesText(v.changes)}</p>
          <Changes changes={v.changes} label={`What only ${count(v.hosts.length, 'host')} would change`} />
        </>
      ) : (
        <p className="quiet">{common.length > 0 ? 'Nothing beside what all change.' : 'There is nothing to do.'}</p>
      )}
      <Stakes of={v} changes={v.changes.length + common.length} />
    </section>
  )
}
