-- rungs: { database: app, description: Add users.email and fill it, requires_restart: [web], estimated_duration: 1s }

-- forward
ALTER TABLE users ADD COLUMN email TEXT;
UPDATE users SET email = login || '@home.example';
CREATE UNIQUE INDEX users_by_email ON users (email);
PRAGMA user_version = 3;

-- backward
DROP INDEX users_by_email;
ALTER TABLE users DROP COLUMN email;
PRAGMA user_version = 2;
