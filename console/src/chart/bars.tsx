// The drawing. A chunk of its own: Recharts is larger than all the rest.
import { Bar, BarChart, CartesianGrid, ResponsiveContainer, Tooltip, XAxis, YAxis } from "recharts";
import { showDay } from "../lib/time.ts";
import { showUsd } from "../lib/usd.ts";
import type { ChartData, ChartDay } from "./series.ts";

const HEIGHT = 240;
const MARGIN = { top: 8, right: 4, bottom: 0, left: 0 };
const TICK = { fill: "var(--muted)", fontSize: 12 };

export default function Bars({ data }: { data: ChartData }) {
  return (
    <ResponsiveContainer width="100%" height={HEIGHT}>
      <BarChart data={data.days} margin={MARGIN} accessibilityLayer={false}>
        <CartesianGrid vertical={false} stroke="var(--line)" />
        <XAxis dataKey="day" tickFormatter={showDay} tick={TICK} tickLine={false} axisLine={{ stroke: "var(--line)" }} minTickGap={28} />
        <YAxis tickFormatter={axisUsd} tick={TICK} tickLine={false} axisLine={false} width={58} tickCount={4} />
        <Tooltip cursor={{ fill: "var(--hover)" }} isAnimationActive={false} content={<Tip data={data} />} />
        {data.series.map(({ name }, index) => (
          <Bar
            key={name}
            name={name}
            dataKey={(day: ChartDay) => day.heights[index] ?? 0}
            stackId="cost"
            fill={`var(--series-${index + 1})`}
            isAnimationActive={false}
            maxBarSize={34}
          />
        ))}
      </BarChart>
    </ResponsiveContainer>
  );
}

/** A mark of the axis: a round figure of its own, not an amount of anybody's. */
function axisUsd(value: number): string {
  if (value === 0) return "$0";
  return `$${new Intl.NumberFormat("en-US", { maximumSignificantDigits: 3 }).format(value)}`;
}

interface TipProps {
  active?: boolean;
  label?: string | number;
  data: ChartData;
}

function Tip({ active, label, data }: TipProps) {
  const day = active ? data.days.find((one) => one.day === label) : undefined;
  if (!day) return null;
  const shown = data.series.map(({ name }, index) => ({ name, index, cost: day.exact[index] ?? 0n })).filter(({ cost }) => cost > 0n);
  return (
    <div className="chart-tip">
      <strong>{showDay(day.day)}</strong>
      <dl>
        {shown.map(({ name, index, cost }) => (
          <div key={name}>
            <dt>
              <i className={`swatch s${index + 1}`} /> {name}
            </dt>
            <dd className="num">{showUsd(cost)}</dd>
          </div>
        ))}
        <div className="sum">
          <dt>Total</dt>
          <dd className="num">{showUsd(day.total)}</dd>
        </div>
      </dl>
    </div>
  );
}
