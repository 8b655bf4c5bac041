/** What several modules share. */

export interface User {
  id: string;
  name: string;
}
