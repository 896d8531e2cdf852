// The approval of what many hosts have planned.
import { useMutation, useQueries } from '@tanstack/react-query'
import { useState } from 'react'
import { told } from '../../core/client.ts'
import { bytes, count, number, plain } from '../../core/format.ts'
import type { Change, WholeRollout } from '../../core/types.ts'
import { changesText, isLoud, jobStates, refuses, stateText } from '../../core/work.ts'
import { ask, client } from '../api.ts'
import { changed } from '../components/act.tsx'
import { Failed, State } from '../components/bits.tsx'
import { Answers, Dialog } from '../components/dialog.tsx'

// Approve repeats what matters, and approves what was looked at, and nothing else.
export function Approve({ of: r, close }: { of: WholeRollout; close: () => void }) {
  const [seen, setSeen] = useState(r)
  const approve = useMutation({
    mutationFn: () => told(client.POST('/rollouts/{rollout}/approve', { params: { path: { rollout: r.id } }, body: { digest: seen.digest } })),
    onSuccess: close,
    onSettled: changed,
  })
  const other = r.digest !== seen.digest
  const rest = r.hosts - seen.planned
  return (
    <Dialog title={`Approve for ${count(seen.planned, 'host')}`} close={close}>
      <Essentials of={seen} />
      <Refusing of={seen} />
      {rest > 0 && (
        <p className="note">
          {count(rest, 'host is', 'hosts are')} not in this: {others(r)}.
        </p>
      )}
      {other && (
        <div className="note bad" role="alert">
          <p>{r.planned > 0 ? 'What is planned has changed since you opened this:' : 'Nothing waits for an approval any more: it was approved or stopped meanwhile.'}</p>
          {r.planned > 0 && (
            <ul className="names">
              {differences(seen, r).map((d) => (
                <li key={d}>{d}</li>
              ))}
            </ul>
          )}
        </div>
      )}
      {approve.isError && <Failed error={approve.error} />}
      <p className="quiet">Each host does exactly what it has planned, or nothing: it plans once more before it begins.</p>
      <Answers close={close}>
        {other && r.planned > 0 ? (
          <button onClick={() => setSeen(r)}>Show what is planned now</button>
        ) : (
          <button className="main" disabled={approve.isPending || other} onClick={() => approve.mutate()}>
            {approve.isPending ? 'Approving…' : `Approve for ${count(seen.planned, 'host')}`}
          </button>
        )}
      </Answers>
    </Dialog>
  )
}

// asked bounds the hosts whose policies are looked at: each is a request. What was not looked at is said.
const asked = 100

// Refusing says which hosts will not do it, because their own policies forbid it: better now than when each has failed.
function Refusing({ of: r }: { of: WholeRollout }) {
  const hosts = r.variants.flatMap((v) => v.hosts).slice(0, asked)
  const answers = useQueries({ queries: hosts.map((h) => ask.host(h.host)) })
  const by = new Map<string, string[]>()
  answers.forEach((a, i) => {
    const why = refuses(a.data?.facts.policy, r.work)
    if (why) by.set(why, [...(by.get(why) ?? []), plain(hosts[i]?.host_name ?? '')])
  })
  return (
    <>
      {[...by].map(([why, names]) => (
        <p key={why} className="note bad">
          <State of="security">{count(names.length, 'host')} will refuse</State>: {names.slice(0, 10).join(', ')}
          {names.length > 10 && ` and ${number(names.length - 10)} more`}. {why.charAt(0).toUpperCase() + why.slice(1)}.
        </p>
      ))}
      {r.planned > hosts.length && <p className="note">The policies of {count(r.planned - hosts.length, 'host was', 'hosts were')} not looked at: there are too many.</p>}
    </>
  )
}

// others says what the hosts do that are not planned.
function others(r: WholeRollout): string {
  return jobStates
    .filter((s) => s !== 'planned' && r.jobs[s])
    .map((s) => `${number(r.jobs[s] ?? 0)} ${stateText(s, r.work)}`)
    .join(', ')
}

// planOf gives what each host would change, by its job.
function planOf(r: WholeRollout): Map<number, { name: string; changes: string }> {
  return new Map(r.variants.flatMap((v) => v.hosts.map((h) => [h.job, { name: plain(h.host_name), changes: JSON.stringify([...r.common, ...v.changes].map((c) => [c.action, c.name, c.arch, c.from, c.to]).sort()) }])))
}

// differences says in what a plan is another than the one that was seen.
function differences(seen: WholeRollout, now: WholeRollout): string[] {
  const [before, after] = [planOf(seen), planOf(now)]
  const list: string[] = []
  for (const [job, p] of after) {
    const b = before.get(job)
    if (!b) list.push(`${p.name} has a plan now`)
    else if (b.changes !== p.changes) list.push(`${p.name} would change something else`)
  }
  for (const [job, p] of before) if (!after.has(job)) list.push(`${p.name} is not in it any more`)
  const most = 10
  return list.length > most ? [...list.slice(0, most), `and ${number(list.length - most)} more`] : list
}

// Essentials are what must not be overlooked in a plan over many hosts.
function Essentials({ of: r }: { of: WholeRollout }) {
  const everywhere = [...r.common, ...r.variants.flatMap((v) => v.changes)]
  const loud = new Map<string, number>()
  const note = (c: Change, n: number) => {
    if (isLoud(c)) loud.set(`${c.action} ${c.name}`, (loud.get(`${c.action} ${c.name}`) ?? 0) + n)
  }
  for (const c of r.common) note(c, r.planned)
  for (const v of r.variants) for (const c of v.changes) note(c, v.hosts.length)
  const on = (which: (v: WholeRollout['variants'][number]) => boolean) => r.variants.filter(which).reduce((n, v) => n + v.hosts.length, 0)
  const reboot = on((v) => v.reboot === 'yes')
  const maybe = on((v) => v.reboot === 'unknown')
  const services = new Set(r.variants.flatMap((v) => v.restart.map((s) => s.name)))
  const config = on((v) => v.config_files.length > 0)
  const warnings = [...new Set(r.variants.flatMap((v) => v.warnings))]
  const download = r.variants.reduce((n, v) => n + v.download * v.hosts.length, 0)
  return (
    <>
      <p>
        <b>{changesText(dedupe(everywhere)) || 'Nothing to change'}</b>
        {r.variants.length > 1 && `, in ${r.variants.length} different plans`}
      </p>
      {r.more > 0 && (
        <p className="note bad">
          <State of="unknown">{count(r.more, 'host has', 'hosts have')} yet other plans</State>, which are not in what is said here.
        </p>
      )}
      {[...loud].map(([what, n]) => (
        <p key={what} className="note bad">
          <State of="security">{plain(what)}</State> on {count(n, 'host')}
        </p>
      ))}
      {warnings.map((w) => (
        <p key={w} className="note bad">
          <b>Mind:</b> {plain(w)}
        </p>
      ))}
      <ul className="stakes">
        {reboot > 0 && (
          <li>
            <State of="outdated">{count(reboot, 'host')} will need a reboot</State>
            {r.after.reboot ? ', and is rebooted where its policy allows it' : ', and is not rebooted by this'}
          </li>
        )}
        {maybe > 0 && (
          <li>
            <State of="unknown">Of {count(maybe, 'host')} it is not known whether a reboot is needed</State>
          </li>
        )}
        {services.size > 0 && (
          <li>
            {count(services.size, 'service runs', 'services run')} what is replaced{r.after.restart_services ? ', and are restarted' : ', and are not restarted by this'}
          </li>
        )}
        {config > 0 && <li>Changed configuration on {count(config, 'host')}: kept as it is</li>}
        {download > 0 && <li>Download, all hosts together: {bytes(download)}</li>}
      </ul>
    </>
  )
}

function dedupe(changes: Change[]): Change[] {
  return [...new Map(changes.map((c) => [`${c.action} ${c.name} ${c.arch} ${c.from} ${c.to}`, c])).values()]
}
