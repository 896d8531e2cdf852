// How the fleet was, as charts. They are loaded after what matters is on the page.
import { useQuery } from '@tanstack/react-query'
import { lazy, Suspense, useMemo } from 'react'
import { perDay } from '../../core/trend.ts'
import { ask } from '../api.ts'
import { Choice, Export, Failed } from '../components/bits.tsx'
import { useParam } from '../router.tsx'

const Chart = lazy(() => import('../components/chart.tsx'))

export function Trend() {
  const [range] = useParam('days')
  const days = /^\d{1,4}$/.test(range) ? Math.max(1, Number(range)) : 30
  const { data, error, refetch } = useQuery(ask.trend(days))
  const pending = useMemo(() => {
    const points = data?.items ?? []
    return {
      times: points.map((p) => Date.parse(p.at) / 1000),
      lines: [
        { name: 'pending', colour: 'outdated-bg', values: points.map((p) => p.updates) },
        { name: 'for security', colour: 'security-bg', values: points.map((p) => p.security) },
      ],
    }
  }, [data])
  const installed = useMemo(() => {
    const list = perDay(data?.items ?? [], -new Date().getTimezoneOffset())
    return { times: list.map((d) => d.day), lines: [{ name: 'installed that day', colour: 'current-bg', values: list.map((d) => d.installed), bars: true }] }
  }, [data])
  return (
    <section>
      <div className="title">
        <h2>History</h2>
        <div className="aside">
          <Choice name="days" label="Time" choices={[['7', 'Week'], ['', 'Month'], ['90', 'Quarter'], ['365', 'Year']]} />
          <Export path="/trend" filter={{ days: String(days) }} />
        </div>
      </div>
      {error && !data && <Failed error={error} again={() => void refetch()} />}
      <div className="charts">
        {pending.times.length < 2 ? (
          <p className="quiet">{data ? 'It begins now: how the fleet is is noted every quarter of an hour, and shown here.' : ' '}</p>
        ) : (
          <Suspense fallback={null}>
            <Chart title="Updates pending" {...pending} />
            <Chart title="Updates installed" {...installed} />
          </Suspense>
        )}
      </div>
    </section>
  )
}
