// How far a job is, with the last of what its host has said.
import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { plain } from '../../core/format.ts'
import type { Job } from '../../core/types.ts'
import { ask } from '../api.ts'

const waits: Record<string, string> = { planning: 'The host is asked what it would do', planned: '', approved: 'Until the host comes for it', waiting: 'The host has it, and waits' }

export function Progress({ job: j, tail }: { job: Job; tail?: boolean }) {
  const text = j.step || (waits[j.state] ?? '')
  return (
    <div className="progress">
      {text && <span>{plain(text)}</span>}
      {j.state === 'running' && (
        <>
          <progress max={100} value={j.percent >= 0 ? j.percent : undefined} aria-label={`How far ${plain(j.host_name)} is`} />
          {j.percent >= 0 && <span className="quiet">{j.percent} %</span>}
        </>
      )}
      {tail && j.state === 'running' && j.lines > 0 && <Tail job={j} />}
    </div>
  )
}

// last is how many lines a row shows.
const last = 2

function Tail({ job: j }: { job: Job }) {
  const after = Math.max(0, j.lines - last)
  const { data } = useQuery({ queryKey: ['tail', j.id, j.lines], queryFn: () => ask.lines(j.id, after, last), placeholderData: keepPreviousData, gcTime: 0 })
  if (!data) return null
  return <code className="tail">{data.lines.map(plain).join('\n')}</code>
}
