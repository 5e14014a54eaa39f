-- rungs: { database: app, description: Drop the old columns, requires_restart: [web], estimated_duration: 1s }

-- forward
-- user_version is what the server looks at: from here on it has to be release 0.2.0.
ALTER TABLE users DROP COLUMN street;
ALTER TABLE users DROP COLUMN city;
ALTER TABLE users DROP COLUMN postcode;
PRAGMA user_version = 2;

-- backward
-- The columns come back empty, in their old order; the step before this one fills them.
ALTER TABLE users ADD COLUMN street TEXT;
ALTER TABLE users ADD COLUMN city TEXT;
ALTER TABLE users ADD COLUMN postcode TEXT;
PRAGMA user_version = 1;
