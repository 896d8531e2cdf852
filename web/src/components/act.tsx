// What can be asked of hosts, one or many, from wherever they are shown.
import { useMutation } from '@tanstack/react-query'
import { type FormEvent, type ReactNode, useState } from 'react'
import { told } from '../../core/client.ts'
import { count, number, plain } from '../../core/format.ts'
import type { After, Host, Policy, Restart, Task } from '../../core/types.ts'
import { type Ask, forbids, refuses } from '../../core/work.ts'
import { cache, client } from '../api.ts'
import { go } from '../router.tsx'
import { Failed, Field } from './bits.tsx'
import { Answers, Dialog } from './dialog.tsx'

// Target is a host of which something is asked. The policy is there where it is known.
export type Target = { id: string; name: string; policy?: Policy }

export type Targets = { hosts: Target[]; group?: undefined } | { group: { id: number; name: string }; hosts?: undefined }

export const target = (h: Host): Target => ({ id: h.id, name: h.facts.name, policy: h.facts.policy })

export type Asked = { work: Task; after?: After; expires_hours?: number }

// begin asks it of hosts, and gives the ID of the rollout that this makes.
async function begin(asked: Asked & { hosts?: string[]; group?: number }): Promise<number> {
  return (await told(client.POST('/rollouts', { body: asked }))).rollout
}

export const start = (on: Targets, asked: Asked) => begin({ ...asked, ...(on.group ? { group: on.group.id } : { hosts: on.hosts.map((h) => h.id) }) })

// changed asks anew for all that work changes.
export const changed = () => cache.invalidateQueries({ predicate: (q) => ['rollouts', 'jobs'].includes(String(q.queryKey[0])) })

// useBegin asks for what names its hosts itself, and shows what becomes of it.
export function useBegin() {
  return useMutation({ mutationFn: begin, onSuccess: (id) => go(`/rollouts/${id}`), onSettled: changed })
}

// useStart asks it of hosts, and shows what becomes of it, unless the page that it is on does so.
export function useStart(on: Targets, stay = false) {
  return useMutation({ mutationFn: (asked: Asked) => start(on, asked), onSuccess: (id) => (stay ? undefined : go(`/rollouts/${id}`)), onSettled: changed })
}

export function whom(on: Targets): string {
  if (on.group) return `the group ${plain(on.group.name)}`
  return on.hosts.length === 1 ? plain(on.hosts[0]?.name ?? '') : count(on.hosts.length, 'host')
}

// shown is how many names a dialog shows before it says how many more there are.
const shown = 12

// Whom names the hosts, and says for which their policies forbid what is asked.
export function Whom({ on, ask }: { on: Targets; ask?: Ask }) {
  if (on.group) return <p className="quiet">All hosts that the group has at this moment.</p>
  const refusals = new Map<string, Target[]>()
  for (const h of on.hosts) {
    const because = ask === 'install' ? refuses(h.policy) : ask ? forbids(h.policy, ask) : ''
    if (because) refusals.set(because, [...(refusals.get(because) ?? []), h])
  }
  return (
    <>
      {on.hosts.length > 1 && <p className="quiet">{list(on.hosts)}</p>}
      {[...refusals].map(([because, hosts]) => (
        <p key={because} className="note">
          {list(hosts)}: {because}.
        </p>
      ))}
    </>
  )
}

function list(hosts: Target[]): string {
  const names = hosts.slice(0, shown).map((h) => plain(h.name))
  return hosts.length > shown ? `${names.join(', ')} and ${number(hosts.length - shown)} more` : names.join(', ')
}

const patience: [hours: string, text: string][] = [
  ['1', 'an hour'],
  ['24', 'a day'],
  ['72', 'three days'],
  ['168', 'a week'],
]

// Patience is for how long hosts that are away may still come for it.
export function Patience() {
  return (
    <Field label="Hosts that are away get it when they return, within">
      {(id) => (
        <select id={id} name="hours" defaultValue="24">
          {patience.map(([v, text]) => (
            <option key={v} value={v}>
              {text}
            </option>
          ))}
        </select>
      )}
    </Field>
  )
}

// Afters are what is done once everything is installed.
export function Afters({ on }: { on: Targets }) {
  return (
    <fieldset>
      <legend>Afterwards</legend>
      <Tick name="restart" label="Restart services" hint="those that still run replaced files, but for those that must not be restarted unasked" but={refusing(on, 'restart')} />
      <Tick name="reboot" label="Reboot if needed" hint="where what was installed takes effect only then" but={refusing(on, 'reboot')} />
    </fieldset>
  )
}

// refusing says which hosts' policies forbid it.
function refusing(on: Targets, ask: Ask): string {
  const hosts = (on.hosts ?? []).filter((h) => forbids(h.policy, ask))
  return hosts.length === 0 ? '' : `Not on ${list(hosts)}: by policy.`
}

function Tick({ name, label, hint, but }: { name: string; label: string; hint: string; but: string }) {
  return (
    <label className="tick">
      <input type="checkbox" name={name} />
      <span>
        {label} <small>{hint}</small> {but && <small className="but">{but}</small>}
      </span>
    </label>
  )
}

export const afterOf = (form: FormData): After => ({ restart_services: form.has('restart'), reboot: form.has('reboot') })
export const hoursOf = (form: FormData): number => Number(form.get('hours'))

type Which = 'security' | 'all' | 'names'

// Install asks for updates to be planned: nothing is installed before the plan is approved. The children say why, where that is known.
export function Install({ on, names, children, close }: { on: Targets; names?: string[]; children?: ReactNode; close: () => void }) {
  const [which, setWhich] = useState<Which>(names ? 'names' : 'security')
  const make = useStart(on)
  function submit(e: FormEvent<HTMLFormElement>) {
    e.preventDefault()
    const form = new FormData(e.currentTarget)
    const chosen = String(form.get('names') ?? '')
      .split(/[\s,]+/)
      .filter(Boolean)
    make.mutate({ work: { install: which === 'names' ? { names: chosen } : { [which]: true } }, after: afterOf(form), expires_hours: hoursOf(form) })
  }
  const radio = (value: Which, text: string, hint: string) => (
    <label className="tick">
      <input type="radio" name="which" value={value} checked={which === value} onChange={() => setWhich(value)} />
      <span>
        {text} <small>{hint}</small>
      </span>
    </label>
  )
  return (
    <Dialog title={`Install updates on ${whom(on)}`} close={close}>
      {children}
      <Whom on={on} ask="install" />
      <form onSubmit={submit}>
        <fieldset>
          <legend>Which</legend>
          {radio('security', 'Security updates', 'and nothing else but what they need')}
          {radio('all', 'All updates', 'everything that an ordinary upgrade would install')}
          {radio('names', 'These', 'by name')}
          {which === 'names' && <Field label="Packages, images or containers">{(id) => <input id={id} name="names" required maxLength={20_000} defaultValue={names?.join(', ')} placeholder="curl, openssl" autoComplete="off" autoCapitalize="none" spellCheck={false} />}</Field>}
        </fieldset>
        <Afters on={on} />
        <Patience />
        {make.isError && <Failed error={make.error} />}
        <p className="quiet">Nothing is installed yet. Each host says first exactly what it would change; you approve that, or not.</p>
        <Answers close={close}>
          <button className="main" disabled={make.isPending}>
            {make.isPending ? 'Asking…' : 'Make the plan'}
          </button>
        </Answers>
      </form>
    </Dialog>
  )
}

// Sure asks once more before something is ordered at once.
export function Sure({ on, title, ask, work, does, children, close }: { on: Targets; title: string; ask: Ask; work: () => Task; does: string; children?: ReactNode; close: () => void }) {
  const make = useStart(on)
  function submit(e: FormEvent<HTMLFormElement>) {
    e.preventDefault()
    make.mutate({ work: work(), expires_hours: hoursOf(new FormData(e.currentTarget)) })
  }
  return (
    <Dialog title={title} close={close}>
      <Whom on={on} ask={ask} />
      <form onSubmit={submit}>
        {children}
        <Patience />
        {make.isError && <Failed error={make.error} />}
        <Answers close={close}>
          <button className="main" disabled={make.isPending}>
            {make.isPending ? 'Asking…' : does}
          </button>
        </Answers>
      </form>
    </Dialog>
  )
}

// Reboots reboots hosts, or those of them that need it.
export function Reboots({ on, close }: { on: Targets; close: () => void }) {
  const [needed, setNeeded] = useState(true)
  return (
    <Sure on={on} title={`Reboot ${whom(on)}?`} ask="reboot" work={() => ({ reboot: { if_needed: needed } })} does="Reboot" close={close}>
      <label className="tick">
        <input type="checkbox" checked={needed} onChange={(e) => setNeeded(e.currentTarget.checked)} />
        <span>
          Only if needed <small>a host that runs everything that is installed is left alone</small>
        </span>
      </label>
    </Sure>
  )
}

// Restarts restarts the services that run replaced files; of one host, those that are ticked.
export function Restarts({ on, restart, close }: { on: Targets; restart?: Restart; close: () => void }) {
  const services = restart?.services ?? []
  const units = services.filter((s) => s.kind === 'unit').map((s) => s.name)
  const [left, setLeft] = useState<string[]>([]) // those that are not to be restarted
  const names = units.filter((n) => !left.includes(n))
  const work = (): Task => ({ restart: left.length ? { names } : {} })
  return (
    <Sure on={on} title={`Restart services of ${whom(on)}?`} ask="restart" work={work} does="Restart" close={close}>
      {services.length > 0 && (
        <fieldset>
          <legend>They still run replaced files</legend>
          {services.map((s) => (
            <label key={`${s.kind} ${s.name}`} className="tick">
              <input
                type="checkbox"
                disabled={s.kind !== 'unit' || (names.length === 1 && names[0] === s.name)}
                checked={s.kind === 'unit' && names.includes(s.name)}
                onChange={(e) => setLeft(e.currentTarget.checked ? left.filter((n) => n !== s.name) : [...left, s.name])}
              />
              <span>
                {plain(s.name)} {s.kind !== 'unit' && <span className="tag">{plain(s.kind)}: not by this</span>} <small>{plain(files(s.files))}</small>
              </span>
            </label>
          ))}
        </fieldset>
      )}
      <p className="quiet">What must not be restarted unasked is left alone: the message bus, logins, displays, container engines.</p>
    </Sure>
  )
}

// files names the first few.
function files(list: string[]): string {
  return list.length > 3 ? `${list.slice(0, 3).join(', ')} and ${number(list.length - 3)} more` : list.join(', ')
}

// Acts are what can be done with several hosts.
export function Acts({ on }: { on: Target[] }) {
  const [open, setOpen] = useState<'' | 'install' | 'restart' | 'reboot'>('')
  const close = () => setOpen('')
  const hosts: Targets = { hosts: on }
  const many = on.length > most
  return (
    <>
      {many && <small>At most {number(most)} at once: filter the list, and go on in parts.</small>}
      <button disabled={many} onClick={() => setOpen('restart')}>
        Restart services…
      </button>
      <button disabled={many} onClick={() => setOpen('reboot')}>
        Reboot…
      </button>
      <button className="main" disabled={many} onClick={() => setOpen('install')}>
        Install updates…
      </button>
      {open === 'install' && <Install on={hosts} close={close} />}
      {open === 'restart' && <Restarts on={hosts} close={close} />}
      {open === 'reboot' && <Reboots on={hosts} close={close} />}
    </>
  )
}

// most is how many hosts the server takes at once.
export const most = 1000
