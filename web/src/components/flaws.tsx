// How vulnerabilities look, wherever they are shown.
import type { ReactNode } from 'react'
import { number, plain } from '../../core/format.ts'
import { dueText, epssText, severityBy, someIDs } from '../../core/flaws.ts'
import type { Advice, Exploited, Flaw } from '../../core/types.ts'
import { useNow } from '../now.ts'
import { Link, to } from '../router.tsx'
import { State } from './bits.tsx'

// looks give each bucket one of the page's few appearances.
const looks: Record<string, string> = { 'act now': 'act', 'this window': 'window', routine: 'routine', track: 'track' }

// Bucket is when something is to be mended.
export function Bucket({ of }: { of: string }) {
  return <State of={looks[of] ?? 'track'}>{of}</State>
}

// FlawLink leads to the page of one vulnerability.
export function FlawLink({ id }: { id: string }) {
  return (
    <Link href={flawPath(id)} className={id.length <= unbroken ? 'unbroken' : undefined}>
      {plain(id)}
    </Link>
  )
}

// unbroken is how long a name may be to stay on one line.
const unbroken = 24

export const flawPath = (id: string) => `/vulnerabilities/${encodeURIComponent(id)}`

// Severity is how bad it is, and whose word that is.
export function Severity({ of: f }: { of: { severity?: string; severity_by?: string; cvss?: number } }) {
  const by = severityBy(f)
  if (!f.severity && !by) return <span className="quiet">unrated</span>
  return (
    <>
      {f.severity ? <span className={f.severity === 'critical' || f.severity === 'high' ? 'severe' : undefined}>{plain(f.severity)}</span> : <span className="quiet">unrated</span>} {by && <small>{plain(by)}</small>}
    </>
  )
}

// ExploitedMark says that it is exploited, until when it must be mended, and whether by ransomware.
export function ExploitedMark({ of: e }: { of: Exploited | undefined }) {
  const now = useNow()
  if (!e) return null
  return (
    <>
      <State of="security">exploited</State> {e.ransomware && <span className="tag loud">ransomware</span>} <small>{dueText(e, now)}</small>
    </>
  )
}

// Chance is that something is exploited: known, probable, or not known.
export function Chance({ of: f }: { of: { exploited?: Exploited; epss?: number; epss_percentile?: number } }) {
  const epss = epssText(f)
  if (!f.exploited && !epss) return <span className="quiet">not that anybody knows</span>
  return (
    <>
      <ExploitedMark of={f.exploited} /> {epss && <small>{epss}</small>}
    </>
  )
}

// SuppressedMark says that somebody has decided that it does not count, and until when.
export function SuppressedMark({ of: f }: { of: Pick<Flaw, 'suppressed'> }) {
  const s = f.suppressed
  if (!s) return null
  return (
    <span className="tag" title={`${plain(s.reason)} (${plain(s.owner)})`}>
      suppressed until {s.until.slice(0, 10)}
    </span>
  )
}

// Advised is what advisories say of an update, in a cell: when to install it, why, and the first few of what it mends.
export function Advised({ of: a }: { of: Advice | undefined }) {
  if (!a) return <span className="quiet">not known</span>
  return (
    <>
      <Bucket of={a.bucket} /> <IDs of={a} /> <small className="line">{plain(a.because)}</small>
    </>
  )
}

// IDs are the first few of what an update mends, and how many more there are.
export function IDs({ of: a }: { of: Advice }): ReactNode {
  const { ids, more } = someIDs(a)
  if (ids.length === 0) return null
  return (
    <span className="ids">
      {ids.map((id) => (
        <FlawLink key={id} id={id} />
      ))}
      {more > 0 && <span className="quiet">and {number(more)} more</span>}
    </span>
  )
}

// listed leads to the list of vulnerabilities, filtered.
export const listed = (filter: Record<string, string>) => to('/vulnerabilities', filter)
