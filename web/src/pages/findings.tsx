// What each source of a host has found: its updates, which can be chosen, and what it could not learn.
import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { bytes, count, plain } from '../../core/format.ts'
import type { Caller, Finding, Host, Update } from '../../core/types.ts'
import { buckets } from '../../core/flaws.ts'
import { forbids } from '../../core/work.ts'
import { ask } from '../api.ts'
import { Install, target, useStart } from '../components/act.tsx'
import { Reasons } from '../components/advice.tsx'
import { Empty, Failed, Loading, Marks, Step, Time } from '../components/bits.tsx'
import { Box, type Chosen, useAll, useChosen } from '../components/choose.tsx'
import { Advised } from '../components/flaws.tsx'
import { may } from '../who.ts'

export function Findings({ host, me }: { host: Host; me: Caller }) {
  const { data, error, refetch } = useQuery(ask.findings(host.id))
  const chosen = useChosen<Update>()
  if (error && !data) return <Failed error={error} again={() => void refetch()} />
  if (!data) return <Loading />
  if (data.length === 0)
    return (
      <Empty>
        <p>Its first report is on the way. This page shows it by itself.</p>
      </Empty>
    )
  const sorted = [...data].sort((a, b) => Number(a.state === 'ok') - Number(b.state === 'ok'))
  return (
    <>
      {sorted.map((f) => (
        <Source key={f.source} finding={f} host={host} chosen={may(me, 'operate') ? chosen : undefined} />
      ))}
      <Selected host={host} chosen={chosen} />
    </>
  )
}

const rank = (u: Update) => (u.security ? 0 : u.blocked ? 2 : 1)

// byPriority puts what is to be installed first first: as advisories say, and without them what is for security.
const byPriority = (a: Update, b: Update) => place(a) - place(b) || rank(a) - rank(b)
const place = (u: Update) => {
  const at = u.advice ? buckets.indexOf(u.advice.bucket) : -1
  return at < 0 ? buckets.length : at
}

const key = (u: Update) => `${u.source} ${u.name} ${u.arch} ${u.kind ?? ''} ${u.level ?? ''}`

// Selected installs the updates that are chosen, on this host.
function Selected({ host, chosen }: { host: Host; chosen: Chosen<Update> }) {
  const [open, setOpen] = useState(false)
  const all = useAll(chosen)
  if (all.length === 0) return null
  const why = forbids(host.facts.policy, 'install')
  return (
    <div className="chosen" role="region" aria-label="What is chosen">
      <span role="status">
        <b>{count(all.length, 'update')}</b> chosen
      </span>
      <button onClick={chosen.clear}>None</button>
      <span className="do">
        {why && <small>{why}</small>}
        <button className="main" disabled={why !== ''} onClick={() => setOpen(true)}>
          Install them…
        </button>
      </span>
      {open && (
        <Install on={{ hosts: [target(host)] }} names={[...new Set(all.map((u) => u.name))]} close={() => setOpen(false)}>
          <Reasons of={all} />
        </Install>
      )}
    </div>
  )
}

// Hold keeps a package as it is, or lets it go again.
function Hold({ host, update: u }: { host: Host; update: Update }) {
  const held = u.blocked === 'held'
  const ask = useStart({ hosts: [target(host)] }, true)
  const why = forbids(host.facts.policy, 'hold')
  const work = { hold: { names: [u.name], hold: !held } }
  return (
    <>
      <button disabled={why !== '' || ask.isPending} title={why || undefined} aria-label={`${held ? 'Release' : 'Hold'} ${plain(u.name)}`} onClick={() => ask.mutate({ work })}>
        {held ? 'Release' : 'Hold'}
      </button>
      {ask.isError && <small role="alert">{plain(ask.error.message)}</small>}
    </>
  )
}

// holds are the sources that can keep an update back.
const holds = ['apk', 'apt', 'brew', 'chocolatey', 'dnf', 'dnf5', 'flatpak', 'pacman', 'pkg', 'snap', 'windowsupdate', 'winget', 'zypper']

function Source({ finding: f, host, chosen }: { finding: Finding; host: Host; chosen?: Chosen<Update> }) {
  const updates = [...f.updates].sort(byPriority)
  const advised = updates.some((u) => u.advice)
  const odd = f.checks.filter((c) => c.answer !== 'current' && c.answer !== 'update')
  const answer = f.state !== 'ok' ? (updates.length ? `unknown, at least ${count(updates.length, 'update')}` : 'unknown') : updates.length ? count(updates.length, 'update') : 'up to date'
  return (
    <section>
      <h2>
        {plain(f.source)}: {answer}{' '}
        {f.as_of && (
          <small>
            as of <Time at={f.as_of} />
          </small>
        )}
      </h2>
      {f.because && <p className="note">{plain(f.because)}</p>}
      {f.security_unknown && updates.length > 0 && <p className="note">Which of these are for security is not known: {plain(f.security_unknown)}</p>}
      {f.remedy && <p>{plain(f.remedy)}</p>}
      {f.notes?.map((n) => (
        <p key={n}>{plain(n)}</p>
      ))}
      {updates.length > 0 && (
        <div className="scroll" tabIndex={0} role="region" aria-label={`Updates of ${plain(f.source)}`}>
          <table>
            <thead>
              <tr>
                {chosen && (
                  <th>
                    <span className="hidden">Choose</span>
                  </th>
                )}
                <th>{f.checks.length ? 'Image' : 'Package'}</th>
                <th>Update</th>
                {advised && <th>Priority</th>}
                <th>About</th>
                <th className="number">Size</th>
                {chosen && holds.includes(f.source) && (
                  <th>
                    <span className="hidden">Hold</span>
                  </th>
                )}
              </tr>
            </thead>
            <tbody>
              {updates.map((u) => (
                <tr key={key(u)}>
                  {chosen && (
                    <td className="pick">
                      <Box chosen={chosen} id={key(u)} label={`Choose ${plain(u.name)}`} disabled={u.blocked === 'held' || u.kind === 'version'} pick={(e, on) => chosen.set(e.shiftKey ? chosen.reach(updates.map((o) => [key(o), o]), key(u)) : [[key(u), u]], on)} />
                    </td>
                  )}
                  <td>
                    {plain(u.name)} {u.containers && <small>{plain(u.containers.join(', '))}</small>}
                  </td>
                  <td>
                    <Step update={u} />
                  </td>
                  {advised && (
                    <td>
                      <Advised of={u.advice} />
                    </td>
                  )}
                  <td>
                    <Marks update={u} /> {u.blocked_because && <small>{plain(u.blocked_because)}</small>} {u.note && <small>{plain(u.note)}</small>}
                  </td>
                  <td className="number">{bytes(u.size)}</td>
                  {chosen && holds.includes(f.source) && (
                    <td className="number">
                      <Hold host={host} update={u} />
                    </td>
                  )}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {odd.length > 0 && (
        <ul className="plain">
          {odd.map((c) => (
            <li key={c.name + c.platform}>
              {plain(c.name)} <span className="tag">{c.answer}</span> <small>{plain([c.because, c.remedy].filter(Boolean).join(' '))}</small>
            </li>
          ))}
        </ul>
      )}
    </section>
  )
}
