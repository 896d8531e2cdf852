// All that advisories say of an update: when to install it, why, and what it mends, by whose word.
import { useState } from 'react'
import { count, number, plain } from '../../core/format.ts'
import { buckets, evidenceText } from '../../core/flaws.ts'
import type { Advice as AdviceType, Flaw, Update } from '../../core/types.ts'
import { Advised, Bucket, Chance, FlawLink, Severity, SuppressedMark } from './flaws.tsx'

export function Advice({ of: a }: { of: AdviceType }) {
  return (
    <section>
      <h2>
        What it mends: {a.mends.length > 0 ? count(a.mends.length, 'vulnerability', 'vulnerabilities') : 'nothing that is known'} <Bucket of={a.bucket} />
      </h2>
      <p>{plain(a.because)}</p>
      {a.unknown && <p className="note">Known only in part: {plain(a.unknown)}</p>}
      {a.mends.length > 0 && <Flaws of={a.mends} label="What it mends" />}
      {a.remains.length > 0 && (
        <>
          <h3>What the newer version still has</h3>
          <Flaws of={a.remains} label="What the newer version still has" />
        </>
      )}
    </section>
  )
}

// mostReasons is how many updates a dialog gives reasons for.
const mostReasons = 5

// Reasons say why updates are to be installed, in short: what is to be done first stands first.
export function Reasons({ of: updates }: { of: Update[] }) {
  const known = updates.filter((u) => u.advice && u.advice.mends.length > 0).sort((a, b) => buckets.indexOf(a.advice?.bucket ?? '') - buckets.indexOf(b.advice?.bucket ?? ''))
  if (known.length === 0) return null
  return (
    <ul className="plain">
      {known.slice(0, mostReasons).map((u) => (
        <li key={`${u.source} ${u.name} ${u.arch} ${u.to}`}>
          {updates.length > 1 && plain(u.name)} <Advised of={u.advice} />
        </li>
      ))}
      {known.length > mostReasons && <li className="quiet">and {count(known.length - mostReasons, 'update')} more</li>}
    </ul>
  )
}

// atFirst is how many are drawn before somebody asks for all: a kernel mends hundreds.
const atFirst = 10

function Flaws({ of: flaws, label }: { of: Flaw[]; label: string }) {
  const [all, setAll] = useState(false)
  return (
    <>
      <div className="scroll" tabIndex={0} role="region" aria-label={label}>
        <table>
          <thead>
            <tr>
              <th>Vulnerability</th>
              <th>Severity</th>
              <th>Exploited</th>
              <th>How it is known</th>
            </tr>
          </thead>
          <tbody>
            {(all ? flaws : flaws.slice(0, atFirst)).map((f) => (
              <tr key={f.id}>
                <td>
                  <FlawLink id={f.id} /> <SuppressedMark of={f} />
                </td>
                <td>
                  <Severity of={f} />
                </td>
                <td>
                  <Chance of={f} />
                </td>
                <td>
                  {evidenceText[f.evidence] ?? plain(f.evidence)} <small>{plain([(f.advisories ?? []).join(', '), f.remark].filter(Boolean).join('; '))}</small>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {!all && flaws.length > atFirst && <button onClick={() => setAll(true)}>Show all {number(flaws.length)}</button>}
    </>
  )
}
