-- rungs: { database: app, description: Make the table for addresses, requires_restart: [web], estimated_duration: 1s }

-- forward
CREATE TABLE addresses (id INTEGER PRIMARY KEY, user_id INTEGER NOT NULL UNIQUE REFERENCES users (id), street TEXT NOT NULL, city TEXT NOT NULL, postcode TEXT NOT NULL);

-- backward
DROP TABLE addresses;
