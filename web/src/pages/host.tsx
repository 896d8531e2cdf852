import { useMutation, useQuery } from '@tanstack/react-query'
import { type FormEvent, lazy, useState } from 'react'
import { told } from '../../core/client.ts'
import { labelText, number, plain, readLabels } from '../../core/format.ts'
import type { Caller, Host as HostType, Job, Order } from '../../core/types.ts'
import { allowText, type Ask, forbids, isOver, jobText, looks, taskText } from '../../core/work.ts'
import { ask, cache, client } from '../api.ts'
import { Install, Reboots, Restarts, Sure, target, type Targets } from '../components/act.tsx'
import { Choice, Copy, Export, Empty, Facts, Failed, Field, Loading, State, Step, Time, Title, useTitle } from '../components/bits.tsx'
import { type Column, List } from '../components/list.tsx'
import { Progress } from '../components/progress.tsx'
import { Link, go, useParam } from '../router.tsx'
import { may } from '../who.ts'
import { Findings } from './findings.tsx'

const HostFlaws = lazy(() => import('./vulnerabilities.tsx').then((m) => ({ default: m.HostFlaws })))

export function Host({ id, me }: { id: string; me: Caller }) {
  const host = useQuery(ask.host(id))
  const [tab] = useParam('tab')
  const h = host.data
  useTitle(h?.facts.name ?? 'Host')
  if (host.isError && !h) return <Failed error={host.error} again={() => void host.refetch()} />
  if (!h) return <Loading />
  return (
    <>
      <Title aside={may(me, 'operate') && <ScanNow host={h} />}>
        {plain(h.facts.name)} <State of={h.state} />
      </Title>
      <p className="quiet">
        {[h.facts.os, h.facts.kernel, h.facts.arch].filter(Boolean).map(plain).join(' · ')} · seen <Time at={h.seen_at} />
      </p>
      {may(me, 'operate') && <Actions host={h} />}
      <Latest host={h} />
      {h.because.map((b) => (
        <p key={b} className="note">
          {plain(b)}
        </p>
      ))}
      {h.support?.unsupported && (
        <p className="note bad">
          <State of="security">Out of support</State> {plain(h.support.words)}
        </p>
      )}
      {h.facts.reboot.needed === 'yes' && <p className="note">A reboot is needed: {plain(h.facts.reboot.because.join(', '))}</p>}
      {h.facts.restart.needed === 'yes' && <p className="note">Services to restart: {plain(h.facts.restart.services.map((s) => s.name).join(', '))}</p>}
      <Choice name="tab" label="About this host" choices={[['', 'Updates'], ['vulnerabilities', `Vulnerabilities ${number(vulnerable(h))}`], ['jobs', 'Jobs'], ['packages', `Packages ${number(h.packages)}`], ['containers', `Containers ${h.containers}`], ['history', 'History'], ['facts', 'Facts']]} />
      {tab === '' && <Findings host={h} me={me} />}
      {tab === 'vulnerabilities' && <HostFlaws host={id} unknown={h.vulnerable_unknown} me={me} />}
      {tab === 'jobs' && <Jobs id={id} />}
      {tab === 'packages' && <Packages id={id} />}
      {tab === 'containers' && <Containers id={id} />}
      {tab === 'history' && <HostHistory id={id} />}
      {tab === 'facts' && <About host={h} me={me} />}
    </>
  )
}

// vulnerable counts what the host has, whenever it is to be mended.
const vulnerable = (h: HostType) => Object.values(h.vulnerable).reduce((n, m) => n + m, 0)

type Act = '' | 'install' | 'restart' | 'reboot' | 'repair'

// Actions are what can be asked of the host. What its policy forbids is there, and says so.
function Actions({ host: h }: { host: HostType }) {
  const [open, setOpen] = useState<Act>('')
  const close = () => setOpen('')
  const on: Targets = { hosts: [target(h)] }
  const acts: [act: Act & Ask, text: string][] = [
    ['install', h.facts.policy?.allow === 'plan' ? 'Plan updates…' : 'Install updates…'],
    ['restart', 'Restart services…'],
    ['reboot', 'Reboot…'],
    ['repair', 'Repair…'],
  ]
  const refused = acts.map(([act]) => [act, forbids(h.facts.policy, act)] as const).filter(([, why]) => why)
  return (
    <div className="acts" role="group" aria-label="What can be done with this host">
      {acts.map(([act, text]) => {
        const why = forbids(h.facts.policy, act)
        return (
          <button key={act} className={act === 'install' ? 'main' : undefined} disabled={why !== ''} aria-describedby={why ? 'refused' : undefined} title={why || undefined} onClick={() => setOpen(act)}>
            {text}
          </button>
        )
      })}
      {refused.length > 0 && (
        <small id="refused">
          {[...new Set(refused.map(([, why]) => why))].map(plain).join('; ')}.
        </small>
      )}
      {open === 'install' && <Install on={on} close={close} />}
      {open === 'restart' && <Restarts on={on} restart={h.facts.restart} close={close} />}
      {open === 'reboot' && <Reboots on={on} close={close} />}
      {open === 'repair' && (
        <Sure on={on} title={`Repair ${plain(h.facts.name)}?`} ask="repair" work={() => ({ repair: {} })} does="Repair" close={close}>
          <p>The package manager finishes what was interrupted: dpkg --configure -a, and what that needs.</p>
        </Sure>
      )}
    </div>
  )
}

// Latest are the jobs of this host that go on, or the one that ended last.
function Latest({ host: h }: { host: HostType }) {
  const { data } = useQuery(ask.hostJobs(h.id))
  const jobs = data?.items ?? []
  const open = jobs.filter((j) => !isOver(j.state))
  const shown = open.length > 0 ? open : jobs.slice(0, 1)
  return (
    <div role="status">
      {shown.map((j) => (
        <div key={j.id} className="latest">
          <Link href={`/jobs/${j.id}`}>{plain(taskText(j.work))}</Link> <State of={looks[j.state] ?? ''}>{jobText(j)}</State> <Time at={j.changed_at} />
          {!isOver(j.state) ? <Progress job={j} /> : j.because && <small>{plain(j.because)}</small>}
        </div>
      ))}
    </div>
  )
}

const jobColumns: Column<Job>[] = [
  { head: 'What', width: 'minmax(12rem, 1.4fr)', cell: (j) => <Link href={`/jobs/${j.id}`}>{plain(taskText(j.work))}</Link> },
  {
    head: 'State',
    width: 'minmax(12rem, 2.4fr)',
    cell: (j) => (
      <>
        <State of={looks[j.state] ?? ''}>{jobText(j)}</State>
        {j.because && <small>{plain(j.because)}</small>}
      </>
    ),
  },
  { head: 'Asked by', width: 'minmax(7rem, 1fr)', cell: (j) => <span className="quiet">{plain(j.created_by)}</span> },
  { head: 'Since', width: '7.5rem', cell: (j) => <Time at={j.changed_at} /> },
]

function Jobs({ id }: { id: string }) {
  return <List label="What was asked of this host" asked={ask.jobs({ host: id })} columns={jobColumns} id={(j) => String(j.id)} empty={<Empty>Nothing was asked of this host yet.</Empty>} />
}

const ended = ['succeeded', 'failed', 'expired']

// ScanNow asks the host to look, and says what becomes of it as it happens.
function ScanNow({ host }: { host: HostType }) {
  const orders = useQuery(ask.hostOrders(host.id))
  const latest = orders.data?.items.find((o) => o.scan) as Order | undefined
  const scan = useMutation({
    mutationFn: (refresh: boolean) => told(client.POST('/hosts/{host}/scan', { params: { path: { host: host.id } }, body: { refresh } })),
    onSettled: () => cache.invalidateQueries({ queryKey: ['orders', host.id] }),
  })
  const open = latest && !ended.includes(latest.state)
  return (
    <>
      <span className="quiet" role="status">
        {scan.isError ? plain(scan.error.message) : latest ? <OrderState order={latest} /> : ''}
      </span>
      <button disabled={scan.isPending || open} onClick={() => scan.mutate(false)}>
        Scan now
      </button>
      <button disabled={scan.isPending || open} onClick={() => scan.mutate(true)} title="Fetches package lists and asks registries anew first">
        Refresh and scan
      </button>
    </>
  )
}

function OrderState({ order: o }: { order: Order }) {
  if (o.state === 'waiting') return <>Waiting for the host…</>
  if (o.state === 'running') return <>Looking…</>
  if (o.state === 'failed') return <>Failed: {plain(o.because)}</>
  return (
    <>
      Scan {o.state} <Time at={o.changed_at} />
    </>
  )
}

function Packages({ id }: { id: string }) {
  return (
    <>
      <div className="filters">
        <Export path={`/hosts/${id}/packages`} />
      </div>
      <List
        label="Packages"
        asked={ask.hostPackages(id)}
        id={(p) => `${p.source} ${p.name} ${p.arch} ${p.version}`}
        columns={[
          { head: 'Package', width: 'minmax(12rem, 2fr)', cell: (p) => <Link href={`/packages?name=${encodeURIComponent(p.name)}`}>{plain(p.name)}</Link> },
          { head: 'Version', width: 'minmax(10rem, 2fr)', cell: (p) => plain(p.version) },
          { head: 'Architecture', width: '8rem', cell: (p) => plain(p.arch) },
          { head: 'Built from', width: 'minmax(8rem, 1fr)', cell: (p) => <span className="quiet">{plain(p.source_package ?? '')}</span> },
        ]}
        empty={<Empty>This host has not said what is installed.</Empty>}
      />
    </>
  )
}

function Containers({ id }: { id: string }) {
  return (
    <List
      label="Containers"
      asked={ask.hostContainers(id)}
      id={(c) => `${c.source} ${c.name}`}
      columns={[
        { head: 'Container', width: 'minmax(10rem, 1fr)', cell: (c) => plain(c.name) },
        { head: 'Image', width: 'minmax(12rem, 2fr)', cell: (c) => <Link href={`/images?name=${encodeURIComponent(c.image)}`}>{plain(c.image)}</Link> },
        { head: 'State', width: '8rem', cell: (c) => plain(c.state) },
        { head: 'Engine', width: '8rem', cell: (c) => plain(c.source) },
      ]}
      empty={<Empty>No containers.</Empty>}
    />
  )
}

function HostHistory({ id }: { id: string }) {
  return (
    <List
      label="What left this host"
      asked={ask.hostHistory(id)}
      id={(g) => `${g.update.source} ${g.update.name} ${g.update.arch} ${g.gone_at} ${g.update.kind ?? ''} ${g.update.level ?? ''}`}
      columns={[
        { head: 'Update', width: 'minmax(12rem, 2fr)', cell: (g) => plain(g.update.name) },
        { head: 'Version', width: 'minmax(12rem, 2fr)', cell: (g) => <Step update={g.update} /> },
        { head: 'How', width: '8rem', cell: (g) => g.how },
        { head: 'When', width: '8rem', cell: (g) => <Time at={g.gone_at} /> },
      ]}
      empty={<Empty>Nothing has left yet.</Empty>}
    />
  )
}

function About({ host: h, me }: { host: HostType; me: Caller }) {
  const forget = useMutation({
    mutationFn: () => told(client.DELETE('/hosts/{host}', { params: { path: { host: h.id } } })),
    onSuccess: () => go('/hosts'),
  })
  return (
    <>
      <Facts
        rows={[
          ['System', h.facts.os],
          ['Supported', h.support?.words ?? 'not known'],
          ['Kernel', h.facts.kernel],
          ['Architecture', h.facts.arch],
          ['Virtualisation', h.facts.virtualisation],
          ['Addresses', h.facts.addresses.join(', ')],
          ['Engines', (h.facts.engines ?? []).map((e) => `${e.name} ${e.version}`).join(', ')],
          ['Booted', h.facts.booted_at && new Date(h.facts.booted_at).toLocaleString()],
          ['Reports from', h.address],
          ['Agent', h.agent],
          ['In the fleet since', new Date(h.enrolled_at).toLocaleString()],
        ]}
      />
      <Says host={h} />
      <Labels host={h} me={me} />
      <h2>ID</h2>
      <Copy text={h.id} label="the host's ID" />
      {may(me, 'administer') && (
        <p>
          <button
            className="bad"
            disabled={forget.isPending}
            onClick={() => {
              if (confirm(`Take ${plain(h.facts.name)} out of the fleet, with all that is known of it?`)) forget.mutate()
            }}
          >
            Take out of the fleet
          </button>
        </p>
      )}
      {forget.isError && <Failed error={forget.error} />}
    </>
  )
}

// Says is the host's last word: what a server may have done there.
function Says({ host: h }: { host: HostType }) {
  const p = h.facts.policy
  const yes = (b: boolean) => (b ? 'allowed' : 'not allowed')
  return (
    <>
      <h2>What a server may do here</h2>
      {!p ? (
        <p className="note">Not known: its agent does not say. It decides when it is asked.</p>
      ) : (
        <>
          {p.because && (
            <div className="note bad">
              <p>The host’s policy cannot be read, so nothing but reports is allowed: {plain(p.because)}</p>
            </div>
          )}
          <Facts
            rows={[
              ['Installing', allowText(p.allow)],
              ['Only', p.only.join(', ') || 'everything'],
              ['Never', p.never.join(', ')],
              ['Hours', p.hours ? `${p.hours} by its own clock; what comes at another time waits` : 'always'],
              ['Restart of services', yes(p.restart)],
              ['Reboot', yes(p.reboot)],
            ]}
          />
          <p className="quiet">
            It is decided on the host, in <code>/etc/redflag/policy.toml</code>, and no server can change it.
          </p>
        </>
      )}
    </>
  )
}

// Labels are what hosts are chosen by.
function Labels({ host: h, me }: { host: HostType; me: Caller }) {
  const text = labelText(h.labels ?? {})
  const set = useMutation({
    mutationFn: (labels: Record<string, string>) => told(client.PUT('/hosts/{host}/labels', { params: { path: { host: h.id } }, body: { labels } })),
    onSuccess: () => cache.invalidateQueries({ queryKey: ['host', h.id] }),
  })
  function submit(e: FormEvent<HTMLFormElement>) {
    e.preventDefault()
    set.mutate(readLabels(String(new FormData(e.currentTarget).get('labels'))))
  }
  return (
    <>
      <h2>Labels</h2>
      {may(me, 'operate') ? (
        <form onSubmit={submit} className="inline" key={text}>
          <Field label="Labels of this host" hint="site=berlin, env=prod">
            {(id) => <input id={id} name="labels" defaultValue={text} maxLength={4000} size={40} />}
          </Field>
          <button disabled={set.isPending}>Save</button>
        </form>
      ) : (
        <p>{plain(text) || <span className="quiet">none</span>}</p>
      )}
      {set.isSuccess && <p role="status">Saved.</p>}
      {set.isError && <Failed error={set.error} />}
    </>
  )
}
