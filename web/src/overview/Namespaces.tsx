import type { Stats } from "../api/client.ts";
import { Card } from "../ui/Card.tsx";
import { formatCount } from "../ui/format.ts";
import styles from "./Namespaces.module.css";

export function Namespaces({ namespaces }: Pick<Stats, "namespaces">) {
  return (
    <Card title="Namespaces">
      {namespaces.length === 0 ? (
        <p className={styles.none}>No module is running.</p>
      ) : (
        <table className={styles.table}>
          <thead>
            <tr>
              <th scope="col">Name</th>
              <th scope="col">Sockets</th>
              <th scope="col">Rooms</th>
            </tr>
          </thead>
          <tbody>
            {namespaces.map(({ name, sockets, rooms }) => (
              <tr key={name}>
                <th scope="row">
                  <code>{name}</code>
                </th>
                <td>{formatCount(sockets)}</td>
                <td>{formatCount(rooms)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </Card>
  );
}
